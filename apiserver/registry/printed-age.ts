/** Ages in the columns of built-in types. */
import { humanDuration } from '../../api/human-duration.ts';

/** How long before `nowMs` an RFC 3339 time was; `<unknown>` without one. */
export function ageText(time: unknown, nowMs: number): string {
  const timeMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(timeMs) ? '<unknown>' : humanDuration(nowMs - timeMs);
}

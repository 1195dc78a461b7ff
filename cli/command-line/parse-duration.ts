import { UserError } from '../../api/errors.ts';

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads `90s`, `15m`, `1h30m` or `1d`, from `shortestMs` up to `longestMs`; answers milliseconds. */
export function parseDuration(flag: string, text: string, longestMs: number, shortestMs = 1_000): number {
  const isOne = /^(?:\d{1,9}[smhd])+$/.test(text);
  const ms = isOne
    ? [...text.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (unitsMs[unit ?? ''] ?? 0), 0)
    : 0;
  if (ms >= shortestMs && ms <= longestMs) return ms;
  const what = `--${flag} ${JSON.stringify(text.slice(0, 60))} is no duration between ${shortestMs / 1_000}s and ${longestMs / 3_600_000}h`;
  throw new UserError('BAD_ARGUMENT', what, 'For example 90s, 15m or 1h30m');
}

/** Times as Kubernetes writes them. */

/** `meta/v1.Time`: RFC 3339 in UTC, whole seconds, `2026-01-31T12:00:00Z`. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** `meta/v1.MicroTime`: RFC 3339 in UTC with six decimals, `2026-01-31T12:00:00.123000Z`. */
export function formatMicroTime(ms: number): string {
  const micros = Math.round((ms - Math.floor(ms)) * 1000);
  const whole = Math.floor(ms) + (micros === 1000 ? 1 : 0);
  return `${new Date(whole).toISOString().slice(0, 23)}${String(micros % 1000).padStart(3, '0')}Z`;
}

/** Milliseconds since the epoch of an RFC 3339 time, or undefined when it is absent or is none. Anything below a millisecond is cut off. */
export function parseTime(text: string | null | undefined): number | undefined {
  if (text === undefined || text === null || !rfc3339.test(text)) return undefined;
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(ms) ? undefined : ms;
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

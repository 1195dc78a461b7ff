/** Ages as kubectl and the API server print them (k8s.io/apimachinery `pkg/util/duration.HumanDuration`). Pure. */

const units = { minute: 60, hour: 3600, day: 86_400, year: 365 * 86_400 };

/** Two significant units at most: `5s`, `3m20s`, `47h`, `3d4h`, `2y5d`. Clocks may differ by two seconds. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * units.minute) return `${seconds}s`;
  if (seconds < 10 * units.minute) return pair(seconds, units.minute, 'm', 1, 's');
  if (seconds < 3 * units.hour) return `${Math.floor(seconds / units.minute)}m`;
  if (seconds < 8 * units.hour) return pair(seconds, units.hour, 'h', units.minute, 'm');
  if (seconds < 48 * units.hour) return `${Math.floor(seconds / units.hour)}h`;
  if (seconds < 8 * units.day) return pair(seconds, units.day, 'd', units.hour, 'h');
  if (seconds < 2 * units.year) return `${Math.floor(seconds / units.day)}d`;
  if (seconds < 8 * units.year) return pair(seconds, units.year, 'y', units.day, 'd');
  return `${Math.floor(seconds / units.year)}y`;
}

function pair(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)}${largeName}${rest === 0 ? '' : `${rest}${smallName}`}`;
}

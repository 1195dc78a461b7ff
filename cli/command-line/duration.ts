import { UserError } from '../../api/errors.ts';

const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Whole seconds of the value of a flag: `90s`, `15m`, `720h`, `30d`, `1h30m`. Throws UserError that names the flag and its bounds. */
export function parseDurationFlag(flag: string, text: string, bounds: { leastSeconds: number; mostSeconds: number }): number {
  const parts = [...text.matchAll(/(\d{1,9})([smhd])/g)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text;
  const seconds = parts.reduce((sum, [, count = '', unit]) => sum + Number(count) * unitSeconds[unit as keyof typeof unitSeconds], 0);
  if (isWhole && seconds >= bounds.leastSeconds && seconds <= bounds.mostSeconds) return seconds;
  const shown = JSON.stringify(text.slice(0, 40));
  const what = isWhole ? `--${flag} ${shown} is out of bounds` : `--${flag} ${shown} is no duration`;
  const remedy = `Give one from ${formatDuration(bounds.leastSeconds)} to ${formatDuration(bounds.mostSeconds)}, for example 90m, 24h or 30d`;
  throw new UserError('BAD_ARGUMENT', what, remedy);
}

function formatDuration(seconds: number): string {
  const unit = (['d', 'h', 'm'] as const).find((one) => seconds % unitSeconds[one] === 0) ?? 's';
  return `${seconds / unitSeconds[unit]}${unit}`;
}

/** Durations as Go's `time.ParseDuration` reads them. */

const nanosOf: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Nanoseconds, or undefined when it is no duration. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  const [, sign, body = ''] = match ?? [];
  if (sign === undefined) return undefined;
  let nanos = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of body.matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const scale = nanosOf[unit] ?? 0n;
    const digits = fraction.slice(0, 18);
    nanos += BigInt(whole === '' ? 0 : whole) * scale + (BigInt(digits === '' ? 0 : digits) * scale) / 10n ** BigInt(digits.length);
  }
  return sign === '-' ? -nanos : nanos;
}

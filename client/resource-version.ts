/**
 * Orders two resourceVersions: negative, zero or positive as `a` is older, the same or newer. Undefined where one is no number (a server may
 * write what it likes); equal strings are the same in any case. Numbers may have more digits than a double holds.
 */
export function compareResourceVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!decimal.test(a) || !decimal.test(b)) return undefined;
  const [left, right] = [BigInt(a), BigInt(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

const decimal = /^\d{1,40}$/;

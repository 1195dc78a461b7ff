/** When a certificate is renewed. Pure. */

export interface Validity {
  /** Milliseconds since the epoch. */
  notBeforeMs: number;
  notAfterMs: number;
}

/** The pool signs certificates that begin this long before they were made, for clocks that run behind. */
export const backdateMs = 3_600_000;

/**
 * Somewhere from 50 to 80 % of the life of the certificate, counted from when it was made: machines that joined together do not renew
 * together. `random` is from [0, 1).
 */
export function renewalTimeMs({ notBeforeMs, notAfterMs }: Validity, random: number): number {
  const madeMs = notBeforeMs + backdateMs < notAfterMs ? notBeforeMs + backdateMs : notBeforeMs;
  return madeMs + (notAfterMs - madeMs) * (0.5 + 0.3 * random);
}

/** What an agent does for its certificate. Pure. */

export interface CertificateFacts {
  nowMs: number;
  renewAtMs: number;
  notAfterMs: number;
  /** The API answered 401 to it. */
  isRefused: boolean;
}

export type CertificateStep = { kind: 'renew' } | { kind: 'recover' } | { kind: 'wait'; forMs: number };

/** By the wall clock: that is what certificates are about, and it goes on while a machine sleeps. */
export function chooseStep({ nowMs, renewAtMs, notAfterMs, isRefused }: CertificateFacts): CertificateStep {
  if (isRefused || nowMs >= notAfterMs) return { kind: 'recover' };
  if (nowMs >= renewAtMs) return { kind: 'renew' };
  return { kind: 'wait', forMs: Math.min(renewAtMs, notAfterMs) - nowMs };
}

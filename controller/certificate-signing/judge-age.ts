/** When signing requests and join tokens have stood long enough. Pure. */
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { parseTime } from '../../api/time.ts';
import { isSettled, lastWordMs } from './request-conditions.ts';

export interface KeepingTimes {
  /** Of a request, after its certificate, denial or failure. */
  settledMs: number;
  /** Of a request that nobody settles, after it was made. */
  unsettledMs: number;
  /** Of a join token, after it ran out. */
  expiredTokenMs: number;
}

export const defaultKeepingTimes: KeepingTimes = { settledMs: 3_600_000, unsettledMs: 86_400_000, expiredTokenMs: 86_400_000 };

/** Milliseconds until the request is to be removed; none are left at 0. */
export function requestTimeLeftMs(request: CertificateSigningRequest, times: KeepingTimes, nowMs: number): number {
  const madeMs = parseTime(request.metadata.creationTimestamp) ?? nowMs;
  const endMs = isSettled(request) ? lastWordMs(request) + times.settledMs : madeMs + times.unsettledMs;
  return Math.max(0, endMs - nowMs);
}

/** The same of a token. */
export function tokenTimeLeftMs({ spec }: JoinToken, times: KeepingTimes, nowMs: number): number {
  return Math.max(0, (parseTime(spec.expirationTimestamp) ?? nowMs) + times.expiredTokenMs - nowMs);
}

/** Whether a join token lets a request in, and the use that it then spends. Pure. */
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { formatTime, parseTime } from '../../api/time.ts';

export type Claims = NonNullable<NonNullable<JoinToken['status']>['claims']>;

export type TokenVerdict =
  /** A use was spent on this request before. */
  | { kind: 'claimed' }
  /** The token's claims with this request's. */
  | { kind: 'claim'; claims: Claims }
  | { kind: 'refuse' };

/** All times are the API server's; a token that was made after the request, under the same name, is another one. */
export function judgeToken(token: JoinToken | undefined, request: CertificateSigningRequest, nowMs: number): TokenVerdict {
  if (token === undefined || token.metadata.deletionTimestamp !== undefined) return { kind: 'refuse' };
  const claims = token.status?.claims ?? [];
  const { name = '', uid = '', creationTimestamp } = request.metadata;
  if (claims.some(({ requestUID }) => requestUID === uid)) return { kind: 'claimed' };
  // The list has each name once: a request that was removed and made again under its name comes too late.
  const isTooLate = claims.length >= (token.spec.uses ?? 1) || claims.some((claim) => claim.request === name);
  if (isTooLate || !wasInForce(token, parseTime(creationTimestamp))) return { kind: 'refuse' };
  return { kind: 'claim', claims: [...claims, { request: name, requestUID: uid, claimedAt: formatTime(nowMs) }] };
}

function wasInForce({ metadata, spec }: JoinToken, atMs: number | undefined): boolean {
  const fromMs = parseTime(metadata.creationTimestamp);
  const untilMs = parseTime(spec.expirationTimestamp);
  if (atMs === undefined || fromMs === undefined || untilMs === undefined) return false;
  return atMs >= fromMs && atMs < untilMs;
}

/** The claims with the name of what the request's machine became; the very array when it stands there. */
export function withProviderName(claims: Claims, requestUid: string, providerName: string): Claims {
  const claim = claims.find(({ requestUID }) => requestUID === requestUid);
  if (claim === undefined || claim.providerName === providerName) return claims;
  return claims.map((each) => (each === claim ? { ...claim, providerName } : each));
}

/** What was said of a signing request, and saying more. Pure. */
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import type { Reason } from '../../api/reasons.ts';
import { formatTime, parseTime } from '../../api/time.ts';

export type Said = 'Approved' | 'Denied' | 'Failed';

/** Why, as a condition and as an event. */
export interface Statement {
  reason: Reason;
  message: string;
}

export function isSaid({ status }: CertificateSigningRequest, type: Said): boolean {
  return status?.conditions?.some((condition) => condition.type === type) === true;
}

/** Nothing more happens to it. */
export function isSettled(request: CertificateSigningRequest): boolean {
  return isSaid(request, 'Denied') || isSaid(request, 'Failed') || (request.status?.certificate ?? '') !== '';
}

export function withCondition(
  request: CertificateSigningRequest,
  type: Said,
  { reason, message }: Statement,
  nowMs: number,
): CertificateSigningRequest {
  const condition = { type, status: 'True' as const, reason, message, lastUpdateTime: formatTime(nowMs) };
  return { ...request, status: { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] } };
}

/** When something was last said of it, or it was made. Milliseconds since the epoch. */
export function lastWordMs({ metadata, status }: CertificateSigningRequest): number {
  const times = (status?.conditions ?? []).map(({ lastUpdateTime, lastTransitionTime }) => parseTime(lastUpdateTime ?? lastTransitionTime));
  return Math.max(parseTime(metadata.creationTimestamp) ?? 0, ...times.map((time) => time ?? 0));
}

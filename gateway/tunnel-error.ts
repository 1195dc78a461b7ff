/** Why a stream to an instance could not be opened, or was cut; and how that travels as a Status. */
import { readRefusal, refusalStatus } from '../api/stream-status.ts';
import type { Status } from '../api/status.ts';

export type TunnelReason =
  /** There is no such instance. */
  | 'NotFound'
  /** It has no place. */
  | 'NotAssigned'
  /** It does not run, or not as the request takes it. */
  | 'NotRunning'
  /** Its provider is not connected, or was lost on the way. */
  | 'Unreachable'
  /** The agent does not do it: the kind, its parameters, or what they name. */
  | 'Refused'
  /** Too many streams; again later. */
  | 'Busy';

/** The message says what, why and since when, as people are shown it: one line. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly reason: TunnelReason;

  constructor(reason: TunnelReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

const codes: Readonly<Record<TunnelReason, number>> = {
  NotFound: 404,
  NotAssigned: 409,
  NotRunning: 409,
  Unreachable: 503,
  Refused: 403,
  Busy: 429,
};

/** The reason goes with it, so that {@link tunnelErrorOf} finds it again. */
export function statusOf({ reason, message }: TunnelError): Status {
  return refusalStatus(codes[reason], message, reason);
}

/** Reads what an agent or another gateway refused with. */
export function tunnelErrorOf(code: number, body: string): TunnelError {
  const refusal = readRefusal(body);
  const message = refusal?.message ?? `the other end answered with ${code}`;
  const cause = refusal?.cause;
  return new TunnelError(cause !== undefined && Object.hasOwn(codes, cause) ? (cause as TunnelReason) : reasonOfCode(code), message);
}

/** What comes from an agent has only a code. */
function reasonOfCode(code: number): TunnelReason {
  switch (code) {
    case 404:
      return 'NotFound';
    case 409:
      return 'NotRunning';
    case 429:
      return 'Busy';
    default:
      return 'Refused';
  }
}

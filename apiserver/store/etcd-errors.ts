import { EtcdCallError, grpcStatus } from './etcd-connection.ts';
import { OutcomeUnknownError, StoreUnavailableError, ValueTooLargeError } from './store.ts';

/**
 * Answers with which etcd says that it did not do what was asked. Anything else after a request was sent (a broken connection, a deadline,
 * a lost leader) leaves it open.
 */
const refusals = new Set<number>([
  grpcStatus.invalidArgument,
  grpcStatus.notFound,
  grpcStatus.permissionDenied,
  grpcStatus.resourceExhausted,
  grpcStatus.failedPrecondition,
  grpcStatus.outOfRange,
  grpcStatus.unimplemented,
  grpcStatus.unauthenticated,
]);

/** What a failed read throws. */
export function readError(error: unknown): unknown {
  return error instanceof EtcdCallError ? new StoreUnavailableError(error.message, { cause: error }) : error;
}

/** What a failed write throws: told apart by whether it was sent, and by whether etcd answered that it refused. */
export function writeError(error: unknown): unknown {
  if (!(error instanceof EtcdCallError)) return error;
  if (!error.sent) return new StoreUnavailableError(error.message, { cause: error });
  if (isTooLarge(error)) {
    return new ValueTooLargeError(`etcd refuses a write of this size (its --max-request-bytes decides): ${error.message}`, {
      cause: error,
    });
  }
  if (refusals.has(error.code)) return new StoreUnavailableError(`etcd refused the write: ${error.message}`, { cause: error });
  return new OutcomeUnknownError(`the write was sent and its outcome is unknown: ${error.message}`, { cause: error });
}

/** etcd itself says "request is too large", its gRPC server "received message larger than max". */
function isTooLarge(error: EtcdCallError): boolean {
  return error.message.includes('request is too large') || error.message.includes('message larger than max');
}

/** The quota is used up. etcd may say so for the one write that crossed the line although it stored it. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof EtcdCallError && error.message.includes('database space exceeded');
}

export function isCompacted(error: unknown): boolean {
  return error instanceof EtcdCallError && error.message.includes('required revision has been compacted');
}

export function isFutureRevision(error: unknown): boolean {
  return error instanceof EtcdCallError && error.message.includes('required revision is a future revision');
}

export function isLeaseLost(error: unknown): boolean {
  return error instanceof EtcdCallError && error.message.includes('requested lease not found');
}

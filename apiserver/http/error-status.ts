/** From whatever was thrown to the `Status` that a client reads. The registry has turned the store's errors into statuses already. */
import type { Status } from '../../api/status.ts';
import { StatusError } from '../registry/status-error.ts';

/** `expected` is false for what must be a fault of ours. */
export function statusOfError(error: unknown): { status: Status; expected: boolean } {
  if (error instanceof StatusError) return { status: error.status, expected: true };
  const message = `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`;
  return { status: { ...failure(500, 'InternalError', message), details: { causes: [{ message }] } }, expected: false };
}

export function failure(code: number, reason: string, message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

export function unauthorized(): StatusError {
  return new StatusError({ message: 'Unauthorized', reason: 'Unauthorized', code: 401 });
}

export function methodNotAllowed(): StatusError {
  return new StatusError({
    message: 'the server does not allow this method on the requested resource',
    reason: 'MethodNotAllowed',
    details: {},
    code: 405,
  });
}

/** For paths of the core group that name no resource. */
export function unknownResource(): StatusError {
  return new StatusError({ message: 'the server could not find the requested resource', reason: 'NotFound', details: {}, code: 404 });
}

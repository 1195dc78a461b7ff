/** One call to Docker: bounded in time, its failures classed. */
import { EngineError } from './engine.ts';
import type { EngineErrorKind } from './engine.ts';

/** Rejects with an EngineError: of kind `unavailable` after `timeoutMs` or when `signal` aborts, with a classed one when the call fails. */
export async function withDeadline<T>(timeoutMs: number, call: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const ended = new AbortController();
  const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const cutShort = Promise.withResolvers<never>();
  const onAbort = (): void => {
    const seconds = timeoutMs / 1000;
    cutShort.reject(new EngineError('unavailable', `The container engine did not answer within ${seconds} s`));
  };
  either.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => ended.abort(), timeoutMs);
  try {
    return await Promise.race([call(either), cutShort.promise]);
  } catch (error) {
    throw classify(error);
  } finally {
    clearTimeout(timer);
    either.removeEventListener('abort', onAbort);
  }
}

/** Connection failures and answers of dockerd, as dockerode throws them. */
export function classify(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  const text = error instanceof Error ? readableMessage(error) : (message ?? String(error));
  return new EngineError(statusCode === undefined ? 'unavailable' : kindOf(statusCode), text, { cause: error });
}

function kindOf(statusCode: number): EngineErrorKind {
  if (statusCode === 404) return 'notFound';
  // 304: a start of what runs, a stop of what does not.
  if (statusCode === 409 || statusCode === 304) return 'conflict';
  // 503: dockerd starts or stops.
  if (statusCode === 503) return 'unavailable';
  return statusCode >= 400 && statusCode < 500 ? 'rejected' : 'failed';
}

/** Docker's own words, without the wrapping that dockerode adds. */
function readableMessage(error: Error & { json?: unknown }): string {
  const { json } = error;
  const said = typeof json === 'object' && json !== null && 'message' in json ? json.message : undefined;
  return typeof said === 'string' ? said : error.message;
}

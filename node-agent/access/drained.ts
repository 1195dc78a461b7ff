import type { Writable } from 'node:stream';

/** Resolves when the stream takes more, is closed, or `signal` aborts: a stream that was reset may stay open for what nobody reads. */
export async function drained(stream: Writable, signal: AbortSignal): Promise<void> {
  if (signal.aborted || stream.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  stream.once('drain', done).once('close', done);
  signal.addEventListener('abort', done, { once: true });
  await promise;
  stream.off('drain', done).off('close', done);
  signal.removeEventListener('abort', done);
}

/** Joins two streams so that each end is read at the pace at which the other is written, and half-closes go through. */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

export interface Spliced {
  /** Bytes from the first to the second, and back. */
  there: number;
  back: number;
  /** What cut it; absent when both sides ended. */
  error?: Error;
}

/**
 * Resolves when both are closed. When either fails or closes before it ended, the other is destroyed with the same error, so that nobody takes a
 * torn stream for a whole one.
 */
export async function splice(first: Duplex, second: Duplex): Promise<Spliced> {
  const result: Spliced = { there: 0, back: 0 };
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let open = 2;
  const fail = (error: Error): void => {
    result.error ??= error;
    for (const stream of [first, second]) cutStream(stream, error);
  };
  for (const stream of [first, second]) {
    stream.on('error', fail);
    // Of HTTP/2: the other end gave up, which without an error would look like an end.
    stream.once('aborted', () => fail(new Error('the other end gave the stream up')));
    stream.once('close', () => {
      if (!isWhole(stream)) fail(new Error('the stream closed before it ended'));
      open -= 1;
      if (open === 0) resolve(undefined);
    });
    if (stream.destroyed) fail(stream.errored ?? new Error('the stream is closed already'));
  }
  pump(first, second, (bytes) => (result.there += bytes));
  pump(second, first, (bytes) => (result.back += bytes));
  if (first.closed && second.closed) return result;
  await promise;
  return result;
}

/**
 * Destroys a stream with an error, so that the other end hears of it. Node puts the RST_STREAM of an HTTP/2 stream off while that is being read, and
 * forgets it when the stream is destroyed meanwhile: so it is paused first.
 */
export function cutStream(stream: Duplex, error: Error): void {
  if (stream.destroyed) return;
  stream.pause();
  if (stream instanceof Socket && !(stream instanceof TLSSocket)) resetAtDestroy(stream);
  stream.destroy(error);
}

/**
 * A plain FIN would say that all was sent; TLS says goodbye only when it did. `resetAndDestroy()` waits for what is still to be written, which may be
 * for ever, so the mark is set that it leaves; a Node that knows it no more sends FIN. While a FIN is under way already, no reset may be asked for.
 */
function resetAtDestroy(socket: Socket & { resetAndClosing?: boolean }): void {
  if (!socket.writableEnded && !socket.connecting) socket.resetAndClosing = true;
}

function isWhole(stream: Duplex): boolean {
  return stream.errored === null && stream.readableEnded && stream.writableFinished;
}

function pump(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length);
    if (to.writable && !to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.once('end', () => {
    if (!to.writableEnded && !to.destroyed) to.end();
  });
}

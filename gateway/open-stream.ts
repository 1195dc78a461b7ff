/** Opens one stream on an HTTP/2 session, to an agent or to another gateway: both take the same request. */
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { streamBounds } from '../api/stream-protocol.ts';
import { TunnelError, tunnelErrorOf } from './tunnel-error.ts';

/** The agent may have to start a program first. */
const answerTimeoutMs = 30_000;
const mostBodyBytes = 64 * 1024;

/** `where` names the other end in messages. @throws {TunnelError} */
export async function openStream(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  where: string,
  signal: AbortSignal | undefined,
): Promise<ClientHttp2Stream> {
  signal?.throwIfAborted();
  if (session.destroyed || session.closed) throw new TunnelError('Unreachable', `${where} was lost just now`);
  const stream = session.request(headers, { endStream: false });
  // Whoever gets it listens too; until then nothing may be thrown for want of a listener.
  stream.on('error', () => undefined);
  const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
  signal?.addEventListener('abort', cancel, { once: true });
  const late = setTimeout(cancel, answerTimeoutMs);
  try {
    const code = await answerOf(stream);
    if (code === undefined) {
      signal?.throwIfAborted();
      const cause = stream.errored instanceof TunnelError ? stream.errored.message : `${where} gave no answer`;
      throw new TunnelError('Unreachable', cause);
    }
    if (code !== 200) throw tunnelErrorOf(code, await shortBody(stream));
    stream.setTimeout(streamBounds.idleMs, () => stream.destroy(new TunnelError('Unreachable', 'nothing moved for two hours')));
    cancelOnDestroy(stream);
    return stream;
  } catch (error) {
    cancel();
    throw error;
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', cancel);
  }
}

/** Destroyed without an error, HTTP/2 would tell the other end that all was said. */
function cancelOnDestroy(stream: ClientHttp2Stream): void {
  const destroy = stream.destroy.bind(stream);
  stream.destroy = (error) => {
    const isWhole = stream.readableEnded && stream.writableFinished;
    if (!stream.destroyed) {
      // Else Node may put the RST_STREAM off, and then forget it.
      stream.pause();
      if (!isWhole && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    }
    return destroy(error);
  };
}

/** Undefined when it ended without one. */
function answerOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  return new Promise((resolve) => {
    stream.once('response', (headers) => resolve(Number(headers[':status'])));
    stream.once('close', () => resolve(undefined));
  });
}

async function shortBody(stream: ClientHttp2Stream): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  stream.end();
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > mostBodyBytes) break;
    }
  } catch {
    return '';
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Port-forward over SPDY/3.1, by itself or within a WebSocket: for each connection one stream for errors and one for data, which belong together by
 * their `requestid` (k8s.io/kubelet `pkg/cri/streaming/portforward/httpstream.go`).
 */
import type { Duplex } from 'node:stream';
import { joinStreams, parsePort, type OpenPort } from './forwarded-port.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';

export const portForwardProtocol = 'portforward.k8s.io';
/** Two streams for each connection; what one user may have at once is bounded elsewhere. */
const maxStreams = 256;
/** For the second stream of a pair. */
const pairMs = 30_000;

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  late: NodeJS.Timeout;
}

/** Resolves when the client is gone. */
export function serveSpdyPortForward(socket: Duplex, head: Buffer, open: OpenPort): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const pairs = new Map<string, Pair>();
  new SpdySession(socket, head, {
    maxStreams,
    onStream: (stream) => {
      const type = stream.headers.get('streamtype');
      if (type !== 'error' && type !== 'data') {
        stream.destroy();
        return;
      }
      const key = requestId(stream, type);
      const pair = pairs.get(key) ?? { late: setTimeout(() => drop(pairs, key), pairMs) };
      pairs.set(key, pair);
      pair[type] ??= stream;
      const { error, data } = pair;
      if (error === undefined || data === undefined) return;
      clearTimeout(pair.late);
      pairs.delete(key);
      void forward(error, data, open);
    },
    onClose: () => {
      for (const key of [...pairs.keys()]) drop(pairs, key);
      resolve(undefined);
    },
  });
  return promise;
}

/** Old clients number nothing: their data stream is opened right after the one for errors. */
function requestId({ headers, id }: SpdyStream, type: 'error' | 'data'): string {
  return headers.get('requestid') ?? `stream ${type === 'error' ? id : id - 2}`;
}

function drop(pairs: Map<string, Pair>, key: string): void {
  const pair = pairs.get(key);
  pairs.delete(key);
  clearTimeout(pair?.late);
  pair?.error?.destroy();
  pair?.data?.destroy();
}

/** That a connection broke is its own business: a word about it would make clients give up all of them. */
async function forward(error: SpdyStream, data: SpdyStream, open: OpenPort): Promise<void> {
  error.resume();
  let tunnel: Duplex;
  try {
    const port = parsePort(data.headers.get('port'));
    if (port === undefined) throw new Error(`${JSON.stringify(data.headers.get('port') ?? '')} is no port`);
    tunnel = await open(port);
  } catch (failure) {
    error.end(failure instanceof Error ? failure.message : String(failure));
    data.destroy();
    return;
  }
  await joinStreams(data, tunnel).catch(() => data.destroy());
  error.end();
}

/** Streams for other gateways and for the jump host, over HTTP/2: the same request that agents get. */
import { performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { streamBounds } from '../api/stream-protocol.ts';
import { readStreamRequest } from '../api/stream-request.ts';
import { refusalStatus } from '../api/stream-status.ts';
import type { Status } from '../api/status.ts';
import { watchLiveness } from '../runtime/http2-liveness.ts';
import type { Logger } from '../runtime/logger.ts';
import { splice } from '../runtime/splice.ts';
import type { PoolHub } from './pool-hub.ts';
import { statusOf, TunnelError } from './tunnel-error.ts';

/** Of one gateway or jump host: the streams of many people. */
const mostStreams = 4096;
const sessionMemoryMegabytes = 256;

export class StreamService {
  readonly #hub: PoolHub;
  readonly #logger: Logger;
  readonly #sessions = new Set<{ http2: ServerHttp2Session; socket: TLSSocket }>();

  constructor(hub: PoolHub, logger: Logger) {
    this.#hub = hub;
    this.#logger = logger;
  }

  /** Takes the connection over. The jump host opens SSH only. */
  serve(socket: TLSSocket, from: 'gateway' | 'jump-host'): void {
    socket.setNoDelay(true);
    const http2 = performServerHandshake(socket, {
      settings: {
        enablePush: false,
        initialWindowSize: streamBounds.windowBytes,
        maxConcurrentStreams: mostStreams,
        maxHeaderListSize: 2 * streamBounds.headerBytes,
      },
      maxSessionMemory: sessionMemoryMegabytes,
    });
    const entry = { http2, socket };
    this.#sessions.add(entry);
    http2.setLocalWindowSize(streamBounds.sessionWindowBytes);
    const liveness = watchLiveness({ session: http2, onDead: () => socket.destroy() });
    socket.on('error', () => undefined);
    http2.on('error', () => undefined);
    socket.once('close', () => {
      liveness.stop();
      this.#sessions.delete(entry);
    });
    http2.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      void this.#open(stream, headers, from);
    });
  }

  /** Ends what is left after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    for (const { http2 } of this.#sessions) http2.close();
    const deadline = performance.now() + graceMs;
    while (this.#sessions.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const { socket } of this.#sessions) socket.destroy();
  }

  async #open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, from: 'gateway' | 'jump-host'): Promise<void> {
    const read = readStreamRequest(headers, from === 'jump-host' ? ['ssh'] : undefined);
    if ('refusal' in read) {
      refuse(stream, read.refusal);
      return;
    }
    const closing = new AbortController();
    stream.once('close', () => closing.abort());
    try {
      const { instanceUid, hops, ...request } = read.request;
      const isHandedOn = from === 'gateway' || hops > 0;
      const there = await this.#hub.openHanded({ ...request, instance: { uid: instanceUid }, isHandedOn, signal: closing.signal });
      if (stream.destroyed) {
        there.destroy();
        return;
      }
      stream.respond({ ':status': 200 });
      await splice(stream, there);
    } catch (error) {
      if (stream.destroyed) return;
      if (!(error instanceof TunnelError)) this.#logger.error('a stream failed', { error });
      refuse(stream, error instanceof TunnelError ? statusOf(error) : refusalStatus(500, 'the gateway failed'));
    }
  }
}

function refuse(stream: ServerHttp2Stream, status: Status): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': status.code ?? 500, 'content-type': 'application/json' });
  stream.end(JSON.stringify(status));
}

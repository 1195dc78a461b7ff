/** One agent's connection to this gateway, with the roles swapped: the agent serves HTTP/2, and we ask. */
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { streamBounds } from '../api/stream-protocol.ts';
import { watchLiveness } from '../runtime/http2-liveness.ts';
import type { Liveness } from '../runtime/http2-liveness.ts';
import { TunnelError } from './tunnel-error.ts';

export interface ProviderSessionOptions {
  providerName: string;
  providerUid: string;
  /** The pool's count of the provider's sessions; the highest counts. */
  number: number;
  /** Just after 101 was written to it. */
  socket: Socket;
  /** Called once, with why it ended. */
  onEnd: (session: ProviderSession, why: string) => void;
}

/** What is kept of streams that nobody reads, at most; beyond it the other end is told to be calm. */
const sessionMemoryMegabytes = 64;
/** A connection whose other end takes nothing any more is cut so long after it was ended. */
const lingerMs = 1_000;

export class ProviderSession {
  readonly providerName: string;
  readonly providerUid: string;
  readonly number: number;
  readonly http2: ClientHttp2Session;
  /** Streams that are open or being opened. */
  openStreams = 0;
  /** It takes no new streams: the gateway is about to stop. */
  isLeaving = false;
  readonly #socket: Socket;
  readonly #liveness: Liveness;
  readonly #onEnd: ProviderSessionOptions['onEnd'];
  #isOver = false;

  constructor(options: ProviderSessionOptions) {
    const { providerName, providerUid, number, socket, onEnd } = options;
    this.providerName = providerName;
    this.providerUid = providerUid;
    this.number = number;
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.setNoDelay(true);
    // Before HTTP/2 listens: its streams are to end with this error, not as if they were whole.
    socket.once('close', () => this.end('the connection was lost'));
    socket.on('error', () => undefined);
    this.http2 = connect('http://agent', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamBounds.windowBytes, maxHeaderListSize: streamBounds.headerBytes },
      peerMaxConcurrentStreams: streamBounds.perAgent,
      maxSessionMemory: sessionMemoryMegabytes,
    });
    this.http2.on('error', () => undefined);
    this.http2.once('connect', () => this.http2.setLocalWindowSize(streamBounds.sessionWindowBytes));
    this.http2.once('goaway', () => this.end('the provider ended its connection'));
    this.http2.once('close', () => this.end('the connection was closed'));
    this.#liveness = watchLiveness({ session: this.http2, onDead: () => this.end('it has not answered for 20 s or more') });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Tells the agent to go to another gateway; streams go on until it did. */
  leave(): void {
    this.isLeaving = true;
    if (!this.http2.destroyed) this.http2.goaway(constants.NGHTTP2_NO_ERROR, 0, Buffer.from('leaving'));
  }

  /** Ends every stream with an error that says why, and the connection. */
  end(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#liveness.stop();
    const error = new TunnelError('Unreachable', `provider ${this.providerName} was lost: ${why}`);
    if (!this.http2.destroyed) this.http2.destroy(error, constants.NGHTTP2_NO_ERROR);
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#onEnd(this, why);
  }
}

/** Keeps one connection to a gateway, whatever happens to machine, network and gateways, and serves streams on it. */
import { performServerHandshake } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import { fullJitterMs } from '../../api/backoff.ts';
import { streamBounds } from '../../api/stream-protocol.ts';
import { systemClock, waitFor } from '../../runtime/clock.ts';
import { watchLiveness } from '../../runtime/http2-liveness.ts';
import type { Liveness } from '../../runtime/http2-liveness.ts';
import type { Logger } from '../../runtime/logger.ts';
import { DialError, dialGateway } from './dial-gateway.ts';
import type { DialedTunnel, TunnelIdentity } from './dial-gateway.ts';
import type { GatewayDirectory } from './gateway-directory.ts';
import { orderGateways } from './order-gateways.ts';
import type { KnownGateway } from './order-gateways.ts';
import { watchWaking } from './wake-watch.ts';

export interface TunnelOptions {
  providerUid: string;
  /** Read anew for each connection: certificates are renewed. */
  identity: () => Promise<TunnelIdentity>;
  directory: GatewayDirectory;
  /** Called for each session; it listens for streams from then on. */
  serve: (session: ServerHttp2Session) => void;
  logger: Logger;
  random?: () => number;
}

/** Where a gateway lives and does not want us, or ended the session: all agents come at once after an outage. */
const gatewayBackoff = { baseMs: 500, capMs: 30_000 };
/** Where nothing answers nobody is burdened, and the network may be back at any moment. */
const networkBackoff = { baseMs: 500, capMs: 1_500 };
/** A session that lived so long makes the next wait short again. */
const steadyMs = 60_000;
/** The kernel sends a SYN at 0, 1 and 3 s. */
const connectTimeoutMs = 3_500;
const answerTimeoutMs = 10_000;
const refreshMs = 60_000;
/** A gateway that said that it stops is not tried for so long, while there are others. */
const avoidMs = 30_000;
/** After a sleep, an answer takes no longer on a connection that lives. */
const wakeCheckMs = 3_000;
const lingerMs = 1_000;
const sessionMemoryMegabytes = 64;

type End = 'network' | 'closed' | 'leaving';

interface LiveSession {
  gateway: string;
  http2: ServerHttp2Session;
  /** Resolves when it is time for another one; this one may still be open when the gateway is leaving. */
  over: Promise<End>;
  liveness: Liveness;
  destroy: () => void;
}

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #random: () => number;
  readonly #stopping = new AbortController();
  readonly #avoided = new Map<string, number>();
  #live: LiveSession | undefined;
  #wake = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #unwatch: (() => void) | undefined;
  #failures = 0;

  constructor(options: TunnelOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** The gateway that it is connected to; undefined when it is not. */
  get gateway(): string | undefined {
    return this.#live?.gateway;
  }

  start(): void {
    this.#unwatch = watchWaking(() => this.#onWake());
    this.#loop = this.#run().catch((error: unknown) => this.#options.logger.error('the tunnel failed', { error }));
  }

  /** Ends the session, and every stream on it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    this.#unwatch?.();
    this.#live?.destroy();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { directory, logger } = this.#options;
    const { signal } = this.#stopping;
    let leaving: LiveSession | undefined;
    while (!this.#isStopping()) {
      const dialed = await this.#round().catch((error: unknown) => (error instanceof DialError ? error : unexpected(error)));
      if (dialed instanceof DialError) {
        if (this.#isStopping()) break;
        if (this.#failures === 0) logger.warn('no gateway can be reached', { error: dialed });
        await this.#wait(dialed.kind === 'unreachable' ? 'network' : 'closed', dialed.retryAfterMs);
        continue;
      }
      const session = this.#begin(dialed);
      leaving?.destroy();
      leaving = undefined;
      const startMs = performance.now();
      const refreshing = setInterval(() => void directory.refresh(signal), refreshMs);
      const end = await session.over;
      clearInterval(refreshing);
      this.#live = undefined;
      logger.info('the tunnel is over', { gateway: session.gateway, why: end });
      if (performance.now() - startMs >= steadyMs) this.#failures = 0;
      if (end === 'leaving') {
        leaving = session;
        this.#avoided.set(session.gateway, performance.now() + avoidMs);
      } else if (!this.#isStopping()) await this.#wait(end, 0);
    }
    leaving?.destroy();
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** One attempt at each gateway, and at those that the API then knows besides. @throws {DialError} the last one's */
  async #round(): Promise<DialedTunnel & { gateway: string }> {
    const { directory, identity } = this.#options;
    const refreshed = directory.refresh(this.#stopping.signal);
    if (directory.known.length === 0) await refreshed;
    const own = await identity();
    const { known } = directory;
    try {
      return await this.#dialEach(known, own);
    } catch (error) {
      if (this.#isStopping()) throw error;
      await refreshed;
      if (directory.known === known) throw error;
      return await this.#dialEach(directory.known, own);
    }
  }

  async #dialEach(gateways: readonly KnownGateway[], identity: TunnelIdentity): Promise<DialedTunnel & { gateway: string }> {
    const { logger, providerUid } = this.#options;
    const { signal } = this.#stopping;
    let last = new DialError('unreachable', 'no gateway is known');
    for (const { name, addresses } of this.#unavoided(orderGateways(providerUid, gateways))) {
      for (const address of addresses) {
        if (this.#isStopping()) throw last;
        try {
          return { ...(await dialGateway({ address, identity, connectTimeoutMs, answerTimeoutMs, signal })), gateway: name };
        } catch (error) {
          if (!(error instanceof DialError)) throw error;
          logger.debug('a gateway cannot be reached', { gateway: name, error });
          last = error;
          // Its other addresses lead to the same one.
          if (error.kind !== 'unreachable') break;
        }
      }
    }
    throw last;
  }

  #unavoided<T extends { name: string }>(gateways: readonly T[]): readonly T[] {
    const nowMs = performance.now();
    for (const [name, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(name);
    const others = gateways.filter(({ name }) => !this.#avoided.has(name));
    return others.length > 0 ? others : gateways;
  }

  #begin({ socket, session: number, gateway }: DialedTunnel & { gateway: string }): LiveSession {
    const { serve, logger } = this.#options;
    const { promise: over, resolve } = Promise.withResolvers<End>();
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    let isOver = false;
    const destroy = (error?: Error): void => {
      if (isOver) return;
      isOver = true;
      liveness.stop();
      if (!http2.destroyed) http2.destroy(error);
      setTimeout(() => socket.destroy(), lingerMs).unref();
    };
    // Before HTTP/2 listens: its streams are to end with an error, not as if they were whole.
    socket.once('close', () => {
      resolve('closed');
      destroy(new Error('the connection to the gateway was lost'));
    });
    const http2 = performServerHandshake(socket, {
      settings: {
        initialWindowSize: streamBounds.windowBytes,
        maxConcurrentStreams: streamBounds.perAgent,
        maxHeaderListSize: 2 * streamBounds.headerBytes,
      },
      maxSessionMemory: sessionMemoryMegabytes,
    });
    http2.on('error', () => undefined);
    http2.setLocalWindowSize(streamBounds.sessionWindowBytes);
    const liveness = watchLiveness({
      session: http2,
      onDead: () => {
        resolve('network');
        destroy(new Error('the gateway does not answer'));
      },
    });
    http2.once('goaway', () => resolve('leaving'));
    serve(http2);
    logger.info('the tunnel stands', { gateway, session: number });
    const live = {
      gateway,
      http2,
      over,
      liveness,
      destroy: () => {
        resolve('closed');
        destroy();
      },
    };
    this.#live = live;
    if (this.#stopping.signal.aborted) live.destroy();
    return live;
  }

  async #wait(end: 'network' | 'closed', leastMs: number): Promise<void> {
    const bounds = end === 'network' ? networkBackoff : gatewayBackoff;
    const waitMs = leastMs + fullJitterMs(this.#failures++, bounds, this.#random);
    await waitFor(systemClock, waitMs, this.#wake.signal);
    this.#wake = new AbortController();
    if (this.#stopping.signal.aborted) this.#wake.abort();
  }

  #onWake(): void {
    this.#options.logger.info('this machine slept, or stood still');
    this.#failures = 0;
    this.#wake.abort();
    this.#live?.liveness.check(wakeCheckMs);
  }
}

/** Of our own doing, for example a kubeconfig that is being written: tried again like everything else. */
function unexpected(error: unknown): DialError {
  return new DialError('refused', 'the tunnel cannot be made', { cause: error });
}

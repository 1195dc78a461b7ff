/** Connections to other gateways: one for each, made when it is needed, kept while it answers. */
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import type { Gateway } from '../api/generated/gateway.ts';
import { streamBounds } from '../api/stream-protocol.ts';
import type { Informer } from '../client/informer.ts';
import { watchLiveness } from '../runtime/http2-liveness.ts';
import type { Logger } from '../runtime/logger.ts';
import type { OwnIdentity } from './own-identity.ts';
import { TunnelError } from './tunnel-error.ts';

export interface PeersOptions {
  gateways: Informer<Gateway>;
  /** Read anew for each connection. */
  identity: () => Promise<OwnIdentity>;
  logger: Logger;
}

const connectTimeoutMs = 5_000;
const sessionMemoryMegabytes = 256;
const mostStreams = 4096;

export class Peers {
  readonly #options: PeersOptions;
  readonly #sessions = new Map<string, { address: string; session: Promise<ClientHttp2Session> }>();
  readonly #live = new Set<ClientHttp2Session>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** @throws {TunnelError} Unreachable */
  async to(gatewayName: string): Promise<ClientHttp2Session> {
    const address = this.#options.gateways.get(gatewayName)?.spec.peerAddress;
    if (address === undefined) throw new TunnelError('Unreachable', `the gateway ${gatewayName} is not there any more`);
    const known = this.#sessions.get(gatewayName);
    if (known?.address === address) return known.session;
    const entry = { address, session: this.#connect(gatewayName, address) };
    this.#sessions.set(gatewayName, entry);
    const forget = (): void => {
      if (this.#sessions.get(gatewayName) === entry) this.#sessions.delete(gatewayName);
    };
    entry.session.then(
      (session) => {
        if (session.destroyed || session.closed) forget();
        session.once('close', forget);
        session.once('goaway', forget);
      },
      () => forget(),
    );
    return entry.session;
  }

  stop(): void {
    for (const session of this.#live) session.destroy(new TunnelError('Unreachable', 'the gateway stops'));
  }

  async #connect(gatewayName: string, address: string): Promise<ClientHttp2Session> {
    const { identity, logger } = this.#options;
    const { caPem, certPem, keyPem } = await identity();
    const session = connect(`https://${address}`, {
      ca: caPem,
      cert: certPem,
      key: keyPem,
      minVersion: 'TLSv1.3',
      settings: { enablePush: false, initialWindowSize: streamBounds.windowBytes, maxHeaderListSize: streamBounds.headerBytes },
      peerMaxConcurrentStreams: mostStreams,
      maxSessionMemory: sessionMemoryMegabytes,
    });
    this.#live.add(session);
    session.once('close', () => this.#live.delete(session));
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const fail = (cause: Error): void => {
      logger.warn('another gateway cannot be reached', { gateway: gatewayName, address, error: cause });
      reject(new TunnelError('Unreachable', `the gateway ${gatewayName}, which has the provider, cannot be reached`, { cause }));
      session.destroy();
    };
    const late = setTimeout(() => fail(new Error(`no connection within ${connectTimeoutMs / 1000} s`)), connectTimeoutMs);
    session.on('error', fail);
    session.once('connect', () => {
      clearTimeout(late);
      session.off('error', fail);
      session.on('error', (error) => logger.info('the connection to another gateway broke', { gateway: gatewayName, error }));
      session.setLocalWindowSize(streamBounds.sessionWindowBytes);
      const lost = new TunnelError('Unreachable', `the gateway ${gatewayName} was lost`);
      const liveness = watchLiveness({ session, onDead: () => session.destroy(lost) });
      session.once('close', () => liveness.stop());
      resolve(session);
    });
    session.once('close', () => {
      clearTimeout(late);
      reject(new TunnelError('Unreachable', `the gateway ${gatewayName} closed the connection`));
    });
    return promise;
  }
}

/** Opens streams by what the informers know, on sessions of our own or through other gateways. */
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import {
  epochHeader,
  hopsHeader,
  kindHeader,
  parametersHeader,
  sessionIdHeader,
  streamBounds,
  userHeader,
} from '../api/stream-protocol.ts';
import type { StreamKind } from '../api/stream-protocol.ts';
import type { Informer } from '../client/informer.ts';
import type { Logger } from '../runtime/logger.ts';
import { StreamBudget } from '../runtime/stream-budget.ts';
import { findWay } from './find-way.ts';
import type { Way } from './find-way.ts';
import type { Hub, InstanceReference, OpenStream } from './hub.ts';
import { openStream } from './open-stream.ts';
import type { ProviderSessions } from './provider-sessions.ts';
import { TunnelError } from './tunnel-error.ts';

export interface PoolHubOptions {
  gatewayName: string;
  /** With an index `uid`, both. */
  instances: Informer<Instance>;
  providers: Informer<Provider>;
  sessions: ProviderSessions;
  /** A connection to another gateway. @throws {TunnelError} */
  peer: (gatewayName: string) => Promise<ClientHttp2Session>;
  isAlive: (gatewayName: string) => boolean;
  logger: Logger;
}

/** Beyond this a request is refused here already; what is left of the bound is for the other headers. */
const mostParameterCharacters = streamBounds.headerBytes - 8 * 1024;

/** A request as it came from another gateway or a jump host. */
export interface HandedRequest extends OpenStream {
  /** It went through another gateway already: it goes to an agent of our own, or nowhere. */
  isHandedOn: boolean;
}

export class PoolHub implements Hub {
  readonly #options: PoolHubOptions;
  readonly #budget = new StreamBudget();
  /** For metrics: by kind and outcome. */
  readonly counts = new Map<string, { kind: StreamKind; outcome: string; count: number }>();
  #open = 0;

  constructor(options: PoolHubOptions) {
    this.#options = options;
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#open;
  }

  open<K extends StreamKind>(request: OpenStream<K>): Promise<Duplex> {
    return this.openHanded({ ...request, isHandedOn: false });
  }

  /** As {@link open}. */
  async openHanded(request: HandedRequest): Promise<Duplex> {
    const startMs = performance.now();
    const { kind, sessionId, user } = request;
    const release = this.#budget.take(user);
    try {
      if (release === undefined)
        throw new TunnelError('Busy', `${user} has ${streamBounds.perUser} streams open, and more are not allowed`);
      const way = this.#findWay(request);
      const stream = await this.#openOn(way, request);
      this.#watch(stream, way, request, release);
      this.#count(kind, 'Opened');
      return stream;
    } catch (error) {
      release?.();
      this.#count(kind, error instanceof TunnelError ? error.reason : 'Aborted');
      const waitedMs = Math.round(performance.now() - startMs);
      this.#options.logger.info('a stream was not opened', { stream: sessionId, user, kind, waitedMs, error: String(error) });
      throw error;
    }
  }

  #findWay({ instance: reference, kind }: OpenStream): Way {
    const { instances, providers } = this.#options;
    const instance = this.#find(reference, instances);
    const providerUid = instance?.status?.assignment?.providerUID;
    const provider = providerUid === undefined ? undefined : providers.byIndex('uid', providerUid)[0];
    return findWay({ name: nameOf(reference), instance, provider, kind, isAlive: (gateway) => this.#isAlive(gateway) });
  }

  #find(reference: InstanceReference, instances: Informer<Instance>): Instance | undefined {
    if ('uid' in reference) return instances.byIndex('uid', reference.uid)[0];
    return instances.get(`${reference.namespace}/${reference.name}`);
  }

  #isAlive(gateway: string): boolean {
    return gateway === this.#options.gatewayName || this.#options.isAlive(gateway);
  }

  async #openOn(way: Way, request: HandedRequest): Promise<ClientHttp2Stream> {
    const { sessions } = this.#options;
    const headers = headersOf(way, request);
    const session = sessions.get(way.providerUid);
    if (session !== undefined) {
      if (session.openStreams >= streamBounds.perAgent) {
        throw new TunnelError('Busy', `provider ${way.providerName} has ${streamBounds.perAgent} streams open, and takes no more`);
      }
      session.openStreams += 1;
      try {
        const stream = await openStream(session.http2, headers, `provider ${way.providerName}`, request.signal);
        stream.once('close', () => (session.openStreams -= 1));
        return stream;
      } catch (error) {
        session.openStreams -= 1;
        throw error;
      }
    }
    if (request.isHandedOn || way.gateway === this.#options.gatewayName) {
      throw new TunnelError('Unreachable', `provider ${way.providerName} is between two connections; try again in a moment`);
    }
    const peer = await this.#options.peer(way.gateway);
    return openStream(peer, { ...headers, [hopsHeader]: '1' }, `gateway ${way.gateway}`, request.signal);
  }

  #watch(stream: ClientHttp2Stream, way: Way, { kind, sessionId, user }: OpenStream, release: () => void): void {
    const { logger } = this.#options;
    const startMs = performance.now();
    const { namespace, name } = way.instance.metadata;
    const fields = { stream: sessionId, user, kind, instance: `${namespace ?? ''}/${name ?? ''}`, provider: way.providerName };
    this.#open += 1;
    logger.info('a stream is open', { ...fields, gateway: way.gateway });
    stream.once('close', () => {
      this.#open -= 1;
      release();
      const error = stream.errored === null ? {} : { error: stream.errored.message };
      logger.info('a stream is closed', { ...fields, seconds: Math.round((performance.now() - startMs) / 100) / 10, ...error });
    });
  }

  #count(kind: StreamKind, outcome: string): void {
    const entry = this.counts.get(`${kind} ${outcome}`) ?? { kind, outcome, count: 0 };
    this.counts.set(`${kind} ${outcome}`, { ...entry, count: entry.count + 1 });
  }
}

function headersOf(way: Way, { kind, parameters, sessionId, user }: OpenStream): OutgoingHttpHeaders {
  const encoded = Buffer.from(JSON.stringify(parameters)).toString('base64url');
  if (encoded.length > mostParameterCharacters) throw new TunnelError('Refused', 'the command is too long');
  return {
    ':method': 'CONNECT',
    ':authority': way.instanceUid,
    [epochHeader]: String(way.epoch),
    [kindHeader]: kind,
    [parametersHeader]: encoded,
    [sessionIdHeader]: sessionId,
    [userHeader]: encodeURIComponent(user),
  };
}

function nameOf(reference: InstanceReference): string {
  return 'uid' in reference ? reference.uid : `${reference.namespace}/${reference.name}`;
}

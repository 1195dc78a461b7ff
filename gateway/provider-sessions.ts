/** Which agents are connected to this gateway: lets them in, counts their sessions, and ends those that may not go on. */
import type { Socket } from 'node:net';
import type { Provider } from '../api/generated/provider.ts';
import type { Client } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import type { Logger } from '../runtime/logger.ts';
import { AdmissionGate } from './admission-gate.ts';
import { ProviderSession } from './provider-session.ts';
import { claimSession, recordEnd } from './session-records.ts';

export interface ProviderSessionsOptions {
  client: Client;
  /** Synced; with an index `uid`. */
  providers: Informer<Provider>;
  gatewayName: string;
  /** Whether another gateway of this name lives; what a dead one left in statuses is tidied up. */
  isAlive: (gatewayName: string) => boolean;
  logger: Logger;
}

/** `retryAfterSeconds` goes with 429 and 503. */
export type Admission = { code: 101; session: number } | { code: 403 | 429 | 503; message: string; retryAfterSeconds?: number };

export interface TunnelRequest {
  providerUid: string;
  /** When the certificate ends. */
  notAfterMs: number;
  socket: Socket;
  /** Called once. Resolves when it is written: HTTP/2 may not begin on a socket with a write under way. */
  answer: (admission: Admission) => Promise<void>;
}

const sweepMs = 10_000;

export class ProviderSessions {
  readonly #options: ProviderSessionsOptions;
  readonly #sessions = new Map<string, ProviderSession>();
  readonly #ends = new Set<Promise<void>>();
  readonly #gate = new AdmissionGate(() => performance.now());
  readonly #unlisten: () => void;
  readonly #sweep: NodeJS.Timeout;
  #isStopping = false;
  /** For metrics. */
  readonly counts = { accepted: 0, refused: 0, ended: 0 };

  constructor(options: ProviderSessionsOptions) {
    this.#options = options;
    this.#unlisten = options.providers.onChange((_key, provider, previous) => this.#onProvider(provider, previous));
    this.#sweep = setInterval(() => this.#tidy(), sweepMs);
    this.#sweep.unref();
  }

  /** The live session; undefined when there is none here. */
  get(providerUid: string): ProviderSession | undefined {
    return this.#sessions.get(providerUid);
  }

  list(): readonly ProviderSession[] {
    return [...this.#sessions.values()];
  }

  async accept(request: TunnelRequest): Promise<void> {
    const admission = await this.#admit(request);
    if (isCut(request.socket)) {
      if (admission.code === 101) this.#recordEnd(request.providerUid, admission.session);
      return;
    }
    await request.answer(admission);
    if (admission.code !== 101) {
      this.counts.refused += 1;
      this.#options.logger.info('a tunnel was refused', { providerUid: request.providerUid, ...admission });
      return;
    }
    if (isCut(request.socket)) this.#recordEnd(request.providerUid, admission.session);
    else this.#begin(request, admission.session);
  }

  /** Sends agents to other gateways, gives them up to `graceMs` to go, and ends what is left. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#sweep);
    for (const session of this.#sessions.values()) session.leave();
    const deadline = performance.now() + graceMs;
    while (this.#sessions.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    this.#unlisten();
    for (const session of [...this.#sessions.values()]) session.end('the gateway stops');
    await Promise.all(this.#ends);
  }

  async #admit({ providerUid, notAfterMs }: TunnelRequest): Promise<Admission> {
    const { client, gatewayName, logger } = this.#options;
    if (this.#isStopping) return { code: 503, message: 'this gateway is about to stop', retryAfterSeconds: 1 };
    const provider = this.#find(providerUid);
    if (provider === undefined) return { code: 403, message: 'the pool has no such provider' };
    if (provider.spec.revoked === true) return { code: 403, message: 'the provider is revoked' };
    if (notAfterMs <= Date.now()) return { code: 403, message: 'the certificate has run out' };
    const wait = this.#gate.enter(providerUid);
    if (wait !== undefined) return { ...wait, message: 'too many connections at once' };
    try {
      const session = await claimSession(client, provider, gatewayName, Date.now());
      return session === undefined ? { code: 403, message: 'the pool has no such provider any more' } : { code: 101, session };
    } catch (error) {
      logger.warn('a session cannot be counted', { provider: provider.metadata.name, error });
      return { code: 503, message: 'the API does not take the session', retryAfterSeconds: 2 };
    } finally {
      this.#gate.leave();
    }
  }

  #begin({ providerUid, notAfterMs, socket }: TunnelRequest, number: number): void {
    const { logger } = this.#options;
    const provider = this.#find(providerUid);
    const providerName = provider?.metadata.name ?? '';
    const session = new ProviderSession({
      providerName,
      providerUid,
      number,
      socket,
      onEnd: (ended, why) => this.#onEnd(ended, why),
    });
    const former = this.#sessions.get(providerUid);
    if (former !== undefined && former.number > number) {
      session.end('a later connection took its place');
      return;
    }
    this.#sessions.set(providerUid, session);
    this.counts.accepted += 1;
    logger.info('a provider is connected', { provider: providerName, session: number });
    former?.end('a later connection took its place');
    // It may have been revoked while it was let in.
    if (provider === undefined || provider.spec.revoked === true) session.end('the provider was revoked');
    const expiry = setTimeout(() => session.end('its certificate ran out'), Math.min(notAfterMs - Date.now(), 2 ** 31 - 1));
    expiry.unref();
    socket.once('close', () => clearTimeout(expiry));
  }

  #onEnd(session: ProviderSession, why: string): void {
    this.counts.ended += 1;
    if (this.#sessions.get(session.providerUid) === session) this.#sessions.delete(session.providerUid);
    const { providerName, number } = session;
    this.#options.logger.info('a provider is not connected any more', { provider: providerName, session: number, why });
    this.#recordEnd(session.providerUid, number);
  }

  #recordEnd(providerUid: string, session: number): void {
    const provider = this.#find(providerUid);
    if (provider !== undefined) this.#keep(this.#writeEnd(provider, this.#options.gatewayName, session));
  }

  async #writeEnd({ metadata }: Provider, gateway: string, session: number): Promise<void> {
    const { client, logger } = this.#options;
    const { name = '', uid = '' } = metadata;
    await recordEnd(client, { name, uid }, { gateway, session }, Date.now()).catch((error: unknown) =>
      logger.warn('the end of a session cannot be written yet', { provider: name, error }),
    );
  }

  #keep(work: Promise<void>): void {
    this.#ends.add(work);
    void work.finally(() => this.#ends.delete(work));
  }

  #find(uid: string): Provider | undefined {
    return this.#options.providers.byIndex('uid', uid)[0];
  }

  #onProvider(provider: Provider | undefined, previous: Provider | undefined): void {
    const uid = (provider ?? previous)?.metadata.uid ?? '';
    const session = this.#sessions.get(uid);
    if (session === undefined) return;
    if (provider === undefined) session.end('the provider was deleted');
    else if (provider.spec.revoked === true) session.end('the provider was revoked');
    else if ((provider.status?.tunnel?.session ?? 0) > session.number) session.end('a later connection took its place');
  }

  /** What a gateway that was killed left behind: statuses that say connected, of sessions that nobody has. */
  #tidy(): void {
    const { providers, gatewayName, isAlive } = this.#options;
    for (const provider of providers.list()) {
      const tunnel = provider.status?.tunnel;
      if (tunnel?.connectedAt === undefined) continue;
      const isOurs = tunnel.gateway === gatewayName;
      const isGone = isOurs ? this.#sessions.get(provider.metadata.uid ?? '')?.number !== tunnel.session : !isAlive(tunnel.gateway);
      // One that is being let in is not in the list yet.
      if (isGone && !(isOurs && this.#gate.isBusy)) this.#keep(this.#writeEnd(provider, tunnel.gateway, tunnel.session));
    }
  }
}

function isCut(socket: Socket): boolean {
  return socket.destroyed;
}

/** A gateway: agents connect to it, and streams to instances go through it. This is where its parts are put together. */
import { randomUUID } from 'node:crypto';
import type { Gateway as GatewayObject } from '../api/generated/gateway.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { gatewayLeaseNamespace } from '../api/names.ts';
import { gateways, instances, leases, providers } from '../api/resource-type.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { Client } from '../client/client.ts';
import { createInformer } from '../client/kube-informer.ts';
import type { Logger } from '../runtime/logger.ts';
import type { BackendFactory } from './backend.ts';
import type { GatewayFacts } from './gateway-metrics.ts';
import { keepRegistration } from './gateway-registration.ts';
import { GatewayServer } from './gateway-server.ts';
import type { ServerCertificate } from './gateway-server.ts';
import type { Hub } from './hub.ts';
import { LivingGateways } from './living-gateways.ts';
import type { OwnIdentity } from './own-identity.ts';
import { Peers } from './peers.ts';
import { PoolHub } from './pool-hub.ts';
import { ProviderSessions } from './provider-sessions.ts';
import { StreamService } from './stream-service.ts';

export interface GatewayOptions {
  /** Of the Gateway object: a DNS label. */
  name: string;
  /** With the gateway's own credentials. */
  client: Client;
  listen: { host: string; port: number };
  /** How it is reached, given the port that it listens on; asked again from time to time. */
  spec: (port: number) => GatewayObject['spec'];
  /** Read anew for each connection to another gateway. */
  identity: () => Promise<OwnIdentity>;
  /** What it shows to who connects; asked again from time to time. */
  certificate: () => Promise<ServerCertificate>;
  /** Takes what API servers hand on; absent: nothing. */
  backend?: BackendFactory;
  /** Another gateway of the same name began later: this one has to stop. */
  onTakenOver: () => void;
  logger: Logger;
  /** How long agents get to go elsewhere when it stops; 5 s. */
  leaveMs?: number;
  signal?: AbortSignal;
}

export interface Gateway {
  readonly port: number;
  readonly hub: Hub;
  /** For metrics. */
  facts(): GatewayFacts;
  /** Agents go to another gateway; streams get until then. */
  stop(): Promise<void>;
}

const certificateCheckMs = 60_000;
const leaveMs = 5_000;

/** Resolves when it listens, knows the pool, and can be found. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { name, client, logger, listen, signal } = options;
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const byUid = ({ metadata: { uid } }: KubernetesObject): string[] => (uid === undefined ? [] : [uid]);
    const known = {
      instances: createInformer<Instance>(client, instances, { indexes: { uid: byUid }, logger }),
      providers: createInformer<Provider>(client, providers, { indexes: { uid: byUid }, logger }),
      gateways: createInformer<GatewayObject>(client, gateways, { logger }),
      leases: createInformer(client, leases, { namespace: gatewayLeaseNamespace, logger }),
    };
    for (const informer of Object.values(known)) {
      informer.start();
      undo.push(() => informer.stop());
    }
    await abortable(Promise.all(Object.values(known).map((informer) => informer.whenSynced())), signal);
    const living = new LivingGateways(known.leases);
    undo.push(() => living.stop());
    const isAlive = (gateway: string): boolean => living.has(gateway);
    const peers = new Peers({ gateways: known.gateways, identity: options.identity, logger });
    undo.push(() => peers.stop());
    const sessions = new ProviderSessions({ client, providers: known.providers, gatewayName: name, isAlive, logger });
    const hub = new PoolHub({ gatewayName: name, ...known, sessions, peer: (to) => peers.to(to), isAlive, logger });
    const streams = new StreamService(hub, logger);
    const backend = options.backend?.(hub);
    const certificate = await options.certificate();
    const server = await GatewayServer.listen({ ...listen, certificate, sessions, streams, backend, logger });
    undo.push(() => server.cut());
    undo.push(keepCertificate(options, server, certificate));
    const graceMs = options.leaveMs ?? leaveMs;
    undo.push(async () => {
      server.stopListening();
      await Promise.all([sessions.stop(graceMs), streams.stop(graceMs), backend?.close(graceMs)]);
    });
    const registration = await keepRegistration({
      ...options,
      identity: randomUUID(),
      spec: () => options.spec(server.port),
    });
    undo.push(() => registration.stop());
    logger.info('the gateway is ready', { name, port: server.port });
    const facts = (): GatewayFacts => ({
      sessions: sessions.list().length,
      sessionCounts: sessions.counts,
      openStreams: hub.openStreams,
      streamCounts: hub.counts.values(),
    });
    return { port: server.port, hub, facts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The API server renews its own in time, and anew when the machine's addresses change. Answers what ends it. */
function keepCertificate({ certificate: read, logger }: GatewayOptions, server: GatewayServer, first: ServerCertificate): () => void {
  let present = first;
  const look = async (): Promise<void> => {
    const next = await read();
    if (next.certPem === present.certPem) return;
    server.useCertificate(next);
    present = next;
    logger.info('the gateway has a new certificate');
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => logger.error('the gateway’s certificate cannot be read', { error }));
  }, certificateCheckMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

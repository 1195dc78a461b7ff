/** The jump host: people's SSH comes in, and goes on through a gateway to instances that their keys open. This is where its parts are put together. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Gateway } from '../../api/generated/gateway.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { gatewayLeaseNamespace } from '../../api/names.ts';
import { formatKey, keyOf } from '../../api/object.ts';
import { gateways, instances, leases } from '../../api/resource-type.ts';
import { epochHeader, kindHeader, parametersHeader, sessionIdHeader, userHeader } from '../../api/stream-protocol.ts';
import type { Client } from '../../client/client.ts';
import { createInformer } from '../../client/kube-informer.ts';
import type { Informer } from '../../client/informer.ts';
import type { Logger } from '../../runtime/logger.ts';
import { LivingGateways } from '../living-gateways.ts';
import { openStream } from '../open-stream.ts';
import type { OwnIdentity } from '../own-identity.ts';
import { Peers } from '../peers.ts';
import { TunnelError } from '../tunnel-error.ts';
import { Refused } from './jump-connection.ts';
import type { OpenWay, WayRequest } from './jump-connection.ts';
import { listenForJumps } from './jump-server.ts';
import { KeyRing, keyRingIndexes } from './key-ring.ts';

export interface JumpHostOptions {
  /** With the jump host's own credentials. */
  client: Client;
  identity: OwnIdentity;
  /** The gateway beside it, tried first. */
  gatewayName: string;
  listen: { host: string; port: number };
  /** Private, in OpenSSH's form. */
  hostKey: string;
  logger: Logger;
  signal?: AbortSignal;
}

export interface JumpHost {
  readonly port: number;
  stop(): Promise<void>;
}

const mostGateways = 3;
const syncTimeoutMs = 60_000;

export async function startJumpHost(options: JumpHostOptions): Promise<JumpHost> {
  const { client, identity, logger } = options;
  const known = {
    instances: createInformer<Instance>(client, instances, { indexes: keyRingIndexes, logger }),
    gateways: createInformer<Gateway>(client, gateways, { logger }),
    leases: createInformer(client, leases, { namespace: gatewayLeaseNamespace, logger }),
  };
  for (const informer of Object.values(known)) informer.start();
  const living = new LivingGateways(known.leases);
  const peers = new Peers({ gateways: known.gateways, identity: () => Promise.resolve(identity), logger });
  const release = async (): Promise<void> => {
    peers.stop();
    living.stop();
    await Promise.all(Object.values(known).map((informer) => informer.stop()));
  };
  try {
    const synced = Promise.all(Object.values(known).map((informer) => informer.whenSynced()));
    await Promise.race([synced, givenUp(options.signal)]);
    const ways = new Ways({ ...options, instances: known.instances, gateways: known.gateways, isAlive: (name) => living.has(name), peers });
    const server = await listenForJumps({ ...options, holderOf: (key) => ways.ring.holderOf(key), open: (request) => ways.open(request) });
    const unlisten = known.instances.onChange((key) => {
      ways.check(key);
      server.checkKeys();
    });
    logger.info('the jump host is ready', { port: server.port });
    return {
      port: server.port,
      stop: async () => {
        unlisten();
        await server.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function givenUp(signal: AbortSignal | undefined): Promise<never> {
  const either = signal === undefined ? AbortSignal.timeout(syncTimeoutMs) : AbortSignal.any([signal, AbortSignal.timeout(syncTimeoutMs)]);
  return new Promise((_resolve, reject) => either.addEventListener('abort', () => reject(either.reason as Error), { once: true }));
}

interface WaysOptions {
  instances: Informer<Instance>;
  gateways: Informer<Gateway>;
  isAlive: (gateway: string) => boolean;
  gatewayName: string;
  peers: Peers;
}

interface LiveWay {
  instance: Instance;
  key: string;
  cut?: (why: string) => void;
}

/** What is open to which instance, by which key. */
class Ways {
  readonly ring: KeyRing;
  readonly #options: WaysOptions;
  readonly #live = new Map<string, Set<LiveWay>>();

  constructor(options: WaysOptions) {
    this.#options = options;
    this.ring = new KeyRing(options.instances);
  }

  async open({ host, port, key, member, signal }: WayRequest): Promise<OpenWay> {
    const instance = this.ring.find(host, port, key);
    if (instance === undefined) {
      const form = "NAME.NAMESPACE.potluck or the instance's hostname, port 22";
      throw new Refused(`your key opens no instance ${printable(host)}:${port}; what can be reached is ${form}`);
    }
    const sessionId = randomBytes(16).toString('hex');
    const stream = await this.#stream(instance, member, sessionId, signal);
    const objectKey = formatKey(keyOf(instance));
    const way: LiveWay = { instance, key };
    const onCut = (cut: (why: string) => void): (() => void) => {
      way.cut = cut;
      const all = this.#live.get(objectKey) ?? new Set();
      this.#live.set(objectKey, all.add(way));
      this.check(objectKey);
      return () => {
        all.delete(way);
        if (all.size === 0 && this.#live.get(objectKey) === all) this.#live.delete(objectKey);
      };
    };
    return { stream, sessionId, instance: objectKey, onCut };
  }

  /** Cuts what may not go on, as the instance is now. */
  check(objectKey: string): void {
    for (const { instance, key, cut } of this.#live.get(objectKey) ?? []) {
      const why = this.ring.whyToCut(instance, key);
      if (why !== undefined) cut?.(why);
    }
  }

  async #stream(instance: Instance, member: string, sessionId: string, signal: AbortSignal): Promise<Duplex> {
    const headers = {
      ':method': 'CONNECT',
      ':authority': instance.metadata.uid ?? '',
      [epochHeader]: String(instance.status?.assignment?.epoch ?? 0),
      [kindHeader]: 'ssh',
      [parametersHeader]: Buffer.from('{}').toString('base64url'),
      [sessionIdHeader]: sessionId,
      [userHeader]: encodeURIComponent(member),
    };
    const names = this.#gatewaysInOrder();
    if (names.length === 0) throw new Refused('no gateway of the pool is there just now; try again in a moment');
    for (const [index, name] of names.entries()) {
      try {
        const session = await this.#options.peers.to(name);
        return await openStream(session, headers, `gateway ${name}`, signal);
      } catch (error) {
        if (!(error instanceof TunnelError)) throw error;
        // What the gateway says of the instance, another would say too.
        const isGatewaysFault = error.reason === 'Unreachable' && error.message.includes(`gateway ${name}`);
        if (!isGatewaysFault || index === names.length - 1) throw new Refused(printable(error.message), { cause: error });
      }
    }
    throw new Refused('no gateway of the pool answers; try again in a moment');
  }

  /** The one beside us first. */
  #gatewaysInOrder(): string[] {
    const { gateways: all, isAlive, gatewayName } = this.#options;
    const names = all.list().flatMap(({ metadata }) => (metadata.name !== undefined && isAlive(metadata.name) ? [metadata.name] : []));
    return names.sort((one, other) => Number(other === gatewayName) - Number(one === gatewayName)).slice(0, mostGateways);
  }
}

/** One line of ASCII, as a terminal can be trusted with. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 512);
}

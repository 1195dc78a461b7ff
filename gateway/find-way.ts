/** Where a stream to an instance must go, or why it cannot, in words for people. Pure. */
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { conditionTypes } from '../api/reasons.ts';
import { needsRunning } from '../api/stream-protocol.ts';
import type { StreamKind } from '../api/stream-protocol.ts';
import { TunnelError } from './tunnel-error.ts';

export interface Way {
  instance: Instance;
  instanceUid: string;
  epoch: number;
  providerUid: string;
  providerName: string;
  /** The gateway that has the provider. */
  gateway: string;
}

export interface WayQuestion {
  /** As people know it: `namespace/name`, or its uid. */
  name: string;
  instance: Instance | undefined;
  /** By its uid, as assigned; undefined when there is none. */
  provider: Provider | undefined;
  kind: StreamKind;
  /** Whether the gateway of this name lives. */
  isAlive: (gateway: string) => boolean;
}

/** @throws {TunnelError} */
export function findWay({ name, instance, provider, kind, isAlive }: WayQuestion): Way {
  if (instance === undefined) throw new TunnelError('NotFound', `there is no instance ${name}`);
  const { status } = instance;
  const full = `${instance.metadata.namespace ?? ''}/${instance.metadata.name ?? ''}`;
  const assignment = status?.assignment;
  if (assignment === undefined) throw new TunnelError('NotAssigned', `${full} has no place yet${whyNotReady(instance)}`);
  const { providerName, providerUID: providerUid, epoch } = assignment;
  const phase = status?.phase ?? 'Pending';
  // Of a lost one it is not known what it does; if its provider is connected, that knows.
  if (needsRunning(kind) && phase !== 'Running' && phase !== 'Lost') {
    throw new TunnelError('NotRunning', `${full} does not run: it is ${phase}${whyNotReady(instance)}`);
  }
  const gateway = findGateway(full, providerName, provider, isAlive);
  return { instance, instanceUid: instance.metadata.uid ?? '', epoch, providerUid, providerName, gateway };
}

function findGateway(instance: string, name: string, provider: Provider | undefined, isAlive: WayQuestion['isAlive']): string {
  const unreachable = (why: string): TunnelError =>
    new TunnelError('Unreachable', `${instance} cannot be reached: its provider ${name} ${why}`);
  if (provider === undefined || provider.spec.revoked === true) throw unreachable('is not in the pool any more');
  const tunnel = provider.status?.tunnel;
  if (tunnel?.connectedAt === undefined || !isAlive(tunnel.gateway)) throw unreachable(notConnected(tunnel));
  return tunnel.gateway;
}

function notConnected(tunnel: NonNullable<Provider['status']>['tunnel']): string {
  if (tunnel === undefined) return 'was never connected';
  if (tunnel.disconnectedAt !== undefined) return `is not connected since ${tunnel.disconnectedAt}`;
  return `is not connected: its gateway ${tunnel.gateway} is gone`;
}

/** What the instance itself says of that, and since when. */
function whyNotReady({ status }: Instance): string {
  const ready = status?.conditions?.find(({ type }) => type === conditionTypes.ready);
  if (ready === undefined || ready.status === 'True') return '';
  return `, since ${ready.lastTransitionTime}: ${ready.message.replaceAll(/\s+/gu, ' ')}`;
}

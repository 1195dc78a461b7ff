/** What an instance gets on a provider, in plain numbers, and what its place costs there. The scheduler, the agent and the ledger share it. */
import type { Instance } from './generated/instance.ts';
import type { Provider } from './generated/provider.ts';
import { parseQuantity } from './quantity.ts';
import type { Quantity } from './quantity.ts';
import { formatAmounts } from './resource-amounts.ts';

/** Whole graphics processors; never shared, never limited apart from the request. */
export const gpuResource = 'nvidia.com/gpu';

/** Resources as `requests`, `limits`, `offer`, `perInstanceMax` and `allocatable` name them. */
export const resourceNames = ['cpu', 'memory', 'disk', 'pids', 'ingress-bandwidth', 'egress-bandwidth', gpuResource] as const;
export type ResourceName = (typeof resourceNames)[number];

/** Quantities by resource, as they stand in the API. */
export type WrittenAmounts = Readonly<Record<string, string | number>>;

export interface EffectiveResources {
  /** Sure to have; whole cores (multiples of 1000) are pinned. */
  cpuRequestMillicores: number;
  cpuLimitMillicores: number;
  /** The soft limit. */
  memoryRequestBytes: number;
  /** The hard limit, without swap. */
  memoryLimitBytes: number;
  /** What placement reserved; 0 when the instance states neither request nor limit. */
  diskRequestBytes: number;
  /** Enforced; counts as it was when the container's disk was made, since a disk cannot be resized. */
  diskLimitBytes: number;
  pidsLimit: number;
  /** Towards the instance, in bit/s; undefined is not limited. */
  ingressBitsPerSecond: number | undefined;
  /** Away from the instance, in bit/s; undefined is not limited. */
  egressBitsPerSecond: number | undefined;
  gpus: number;
}

export const defaultPidsLimit = 512;

type Unit = 'milli' | 'one';

/** Whole units, rounded up for what is asked for. */
function roundUp(quantity: Quantity, unit: Unit): number {
  const divisor = unit === 'milli' ? 1_000_000n : 1_000_000_000n;
  return Number((quantity.nanos + divisor - 1n) / divisor);
}

/** Whole units, rounded down for what there is. */
function roundDown(quantity: Quantity, unit: Unit): number {
  return Number(quantity.nanos / (unit === 'milli' ? 1_000_000n : 1_000_000_000n));
}

function unitOf(name: ResourceName): Unit {
  return name === 'cpu' ? 'milli' : 'one';
}

/** An amount that is asked for, in millicores, bytes, processes or bit/s; undefined when it is not stated. */
export function askedAmount(amounts: WrittenAmounts | undefined, name: ResourceName): number | undefined {
  const written = amounts?.[name];
  return written === undefined ? undefined : roundUp(parseQuantity(written), unitOf(name));
}

/** An amount that there is, in millicores, bytes, processes, bit/s or a count; undefined when it is not stated. */
export function givenAmount(amounts: WrittenAmounts | undefined, name: ResourceName): number | undefined {
  const written = amounts?.[name];
  return written === undefined ? undefined : roundDown(parseQuantity(written), unitOf(name));
}

/** The most that one instance may have of a resource; undefined when the owner bounds it neither by instance nor together. */
export function mostForOneInstance(provider: Provider['spec'], name: ResourceName): number | undefined {
  return givenAmount(provider.perInstanceMax, name) ?? givenAmount(provider.offer, name);
}

/**
 * Requests and limits with every default filled in. Limits that the instance states count as stated: placement puts an instance only where
 * they are within the provider's perInstanceMax. A default that comes from the provider is never more than `allocatable`, nor less than the request.
 */
export function effectiveResources(
  instance: Instance['spec'],
  provider: Provider['spec'],
  allocatable: WrittenAmounts | undefined,
): EffectiveResources {
  const { requests, limits } = instance.resources;
  const limit = (name: ResourceName): number | undefined => askedAmount(limits, name);
  const fromProvider = (name: ResourceName, request: number): number => {
    const most = Math.min(mostForOneInstance(provider, name) ?? Infinity, givenAmount(allocatable, name) ?? Infinity);
    return Math.max(request, most === Infinity ? 0 : most);
  };
  const cpuRequest = askedAmount(requests, 'cpu') ?? 0;
  const memoryRequest = askedAmount(requests, 'memory') ?? 0;
  const diskRequest = askedAmount(requests, 'disk') ?? limit('disk');
  return {
    cpuRequestMillicores: cpuRequest,
    cpuLimitMillicores: limit('cpu') ?? cpuRequest,
    memoryRequestBytes: memoryRequest,
    memoryLimitBytes: limit('memory') ?? fromProvider('memory', memoryRequest),
    diskRequestBytes: diskRequest ?? 0,
    diskLimitBytes: limit('disk') ?? diskRequest ?? fromProvider('disk', 0),
    pidsLimit: limit('pids') ?? defaultPidsLimit,
    ingressBitsPerSecond: limit('ingress-bandwidth') ?? givenAmount(provider.perInstanceMax, 'ingress-bandwidth'),
    egressBitsPerSecond: limit('egress-bandwidth') ?? givenAmount(provider.perInstanceMax, 'egress-bandwidth'),
    gpus: askedAmount(requests, gpuResource) ?? limit(gpuResource) ?? 0,
  };
}

/**
 * What a place for the instance takes from a provider's allocatable, as the ledger writes it: its requests (disk's limit where disk is not
 * requested), and the processes, bandwidth and graphics processors that it states. Defaults reserve nothing.
 */
export function reservedAmounts(instance: Instance['spec']): Record<string, string> {
  const { requests, limits = {} } = instance.resources;
  const amounts: Record<string, string | number> = {};
  for (const name of resourceNames) {
    const amount = requests[name] ?? (name === 'cpu' || name === 'memory' ? undefined : limits[name]);
    if (amount !== undefined) amounts[name] = amount;
  }
  return formatAmounts(amounts);
}

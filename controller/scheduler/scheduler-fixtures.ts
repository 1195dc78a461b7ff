/** Objects for the tests of placement; every part that a test does not name has room for anything. */
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { containerFinalizer } from '../../api/names.ts';

const apiVersion = 'potluck.dev/v1alpha1';
const aMoment = '2026-01-01T00:00:00Z';

export interface ProviderParts {
  uid?: string;
  ready?: boolean;
  labels?: Record<string, string>;
  allocatable?: Record<string, string | number>;
  spec?: Partial<Provider['spec']>;
  status?: Provider['status'];
}

export function makeProvider(name: string, parts: ProviderParts = {}): Provider {
  const { uid = `uid-of-${name}`, ready = true, labels = {}, allocatable = { cpu: 16, memory: '64Gi', disk: '1Ti' }, spec, status } = parts;
  const condition = { type: 'Ready', status: ready ? ('True' as const) : ('Unknown' as const), lastTransitionTime: aMoment };
  return {
    apiVersion,
    kind: 'Provider',
    metadata: { name, uid, resourceVersion: '1', labels },
    spec: { owner: 'alan', offer: { cpu: 1024, memory: '1Ti', disk: '10Ti' }, available: true, ...spec },
    status: { ...status, allocatable, conditions: [{ ...condition, reason: 'LeaseRenewed', message: '' }] },
  };
}

export interface InstanceParts {
  uid?: string;
  spec?: Partial<Instance['spec']>;
  status?: Instance['status'];
}

/** Asks for one core and 1 GiB; holds the finalizer. */
export function makeInstance(namespace: string, name: string, parts: InstanceParts = {}): Instance {
  const { uid = `uid-of-${namespace}-${name}`, spec, status } = parts;
  return {
    apiVersion,
    kind: 'Instance',
    metadata: { namespace, name, uid, resourceVersion: '1', generation: 1, finalizers: [containerFinalizer] },
    spec: { image: 'debian:12', resources: { requests: { cpu: 1, memory: '1Gi' } }, ...spec },
    ...(status && { status }),
  };
}

type Reservation = NonNullable<ProviderReservation['spec']['reservations']>[number];

export function makeLedger(provider: Provider, entries: (Partial<Reservation> & Pick<Reservation, 'amounts'>)[]): ProviderReservation {
  const name = provider.metadata.name ?? '';
  return {
    apiVersion,
    kind: 'ProviderReservation',
    metadata: { name, uid: `uid-of-ledger-${name}`, resourceVersion: '1' },
    spec: {
      providerUID: provider.metadata.uid ?? '',
      reservations: entries.map((entry, index) => ({
        instanceUID: `uid-${name}-${index}`,
        namespace: 'toto',
        name: `i${index}`,
        epoch: 1,
        hostnameNumber: index,
        reservedAt: aMoment,
        ...entry,
      })),
    },
  };
}

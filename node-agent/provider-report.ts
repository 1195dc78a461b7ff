/** Tells the API what this machine is and has: in Provider.status for everybody, in ProviderInventory for its owner. */
import { setCondition } from '../api/conditions.ts';
import type { ConditionUpdate } from '../api/conditions.ts';
import type { EnforcementStatus } from '../api/enforcement.ts';
import type { ProviderInventory } from '../api/generated/provider-inventory.ts';
import type { Provider } from '../api/generated/provider.ts';
import { apiVersionOf, providerInventories, providers } from '../api/resource-type.ts';
import { formatTime, parseTime } from '../api/time.ts';
import { isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import { updateStatus } from '../runtime/status-writer.ts';
import type { EngineInfo } from './engine/engine.ts';
import { allocatableOf, capacityOf, judgeOffer } from './inventory/capacity.ts';
import { packageCount, threadCount } from './inventory/cpu-topology.ts';
import type { Disk, Machine } from './inventory/machine.ts';
import { ownerPolicyCondition } from './owner-policy/policy-condition.ts';
import type { CurrentPolicy } from './owner-policy/policy-keeper.ts';

export interface Measured {
  machine: Machine;
  disk: Disk;
  engine: EngineInfo;
  ownerPolicy: CurrentPolicy;
  /** Undefined until this machine was tried as it is now. */
  enforcement: EnforcementStatus | undefined;
}

export interface ReportOptions {
  client: Client;
  provider: Provider;
  agentVersion: string;
  signal: AbortSignal;
}

/** An inventory in which nothing changed is written again after this long, to show that it is still so. */
const inventoryIntervalMs = 24 * 3600 * 1000;

/** Writes what changed. Answers the Provider as it is then; throws when its uid is another than `provider`'s. */
export async function reportProvider(measured: Measured, { client, provider, agentVersion, signal }: ReportOptions): Promise<Provider> {
  const { name = '', uid } = provider.metadata;
  const { ownerPolicy, enforcement } = measured;
  return updateStatus(
    client,
    providers,
    { name },
    (draft) => {
      if (draft.metadata.uid !== uid) return false;
      const observedGeneration = draft.metadata.generation ?? 0;
      draft.status = {
        ...draft.status,
        observedGeneration,
        capacity: capacityOf(measured.machine, measured.disk),
        allocatable: allocatableOf([draft.spec.offer, ownerPolicy.policy.total], measured.machine, measured.disk),
        systemInfo: systemInfo(measured, agentVersion),
        conditions: setCondition(
          setCondition(draft.status?.conditions, { ...ownerPolicyCondition(ownerPolicy), observedGeneration }, Date.now()),
          offerCondition(measured, draft),
          Date.now(),
        ),
      };
      if (ownerPolicy.status === undefined) delete draft.status.ownerPolicy;
      else draft.status.ownerPolicy = ownerPolicy.status;
      if (enforcement === undefined) delete draft.status.enforcement;
      else draft.status.enforcement = enforcement;
      return draft;
    },
    { signal },
  );
}

function offerCondition({ machine, disk }: Measured, { spec, metadata }: Provider): ConditionUpdate {
  const { generation } = metadata;
  return { ...judgeOffer(spec.offer, machine, disk), ...(generation === undefined ? {} : { observedGeneration: generation }) };
}

function systemInfo({ machine, engine }: Measured, agentVersion: string): NonNullable<NonNullable<Provider['status']>['systemInfo']> {
  return {
    architecture: machine.architecture,
    operatingSystem: machine.operatingSystem,
    kernelVersion: machine.kernelVersion,
    engineVersion: `${engine.name} ${engine.version}`,
    agentVersion,
    cgroupVersion: engine.cgroupVersion,
    cores: machine.topology.cores.length,
    threads: threadCount(machine.topology),
  };
}

/** Writes the inventory if it changed; makes it where it is missing. */
export async function reportInventory(measured: Measured, { client, provider, signal }: ReportOptions): Promise<void> {
  const { name = '', uid = '' } = provider.metadata;
  const status = inventoryStatus(measured);
  await ensureInventory(client, provider, signal);
  await updateStatus(
    client,
    providerInventories,
    { name },
    (draft) => {
      if (draft.spec.providerUID !== uid) return false;
      const { measuredAt, ...before } = draft.status ?? {};
      const isFresh = Date.now() - (parseTime(measuredAt) ?? 0) < inventoryIntervalMs;
      if (isFresh && sameButFree(before, status)) return false;
      draft.status = { ...status, measuredAt: formatTime(Date.now()) };
      return draft;
    },
    { signal },
  );
}

type InventoryStatus = NonNullable<ProviderInventory['status']>;

/** What is free on a disk changes all the time and is no news. */
function sameButFree(a: InventoryStatus, b: InventoryStatus): boolean {
  const comparable = (status: InventoryStatus): string =>
    JSON.stringify({ ...status, disks: status.disks?.map((disk) => ({ ...disk, free: undefined })) }, sortedKeys);
  return comparable(a) === comparable(b);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function ensureInventory(client: Client, provider: Provider, signal: AbortSignal): Promise<void> {
  const { name = '', uid = '' } = provider.metadata;
  try {
    await client.get(providerInventories, { name }, { signal });
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const { apiVersion, kind } = { apiVersion: apiVersionOf(providers), kind: providers.kind };
  await client.create(
    providerInventories,
    {
      apiVersion: apiVersionOf(providerInventories),
      kind: providerInventories.kind,
      metadata: { name, ownerReferences: [{ apiVersion, kind, name, uid }] },
      spec: { owner: provider.spec.owner, providerUID: uid },
    },
    { signal },
  );
}

function inventoryStatus({ machine, disk, engine }: Measured): InventoryStatus {
  const { topology } = machine;
  return {
    hostname: machine.hostname,
    ...(machine.machineId === '' ? {} : { machineID: machine.machineId }),
    addresses: machine.addresses,
    cpu: {
      ...(machine.cpuModel === '' ? {} : { model: machine.cpuModel }),
      sockets: packageCount(topology),
      cores: topology.cores.length,
      threads: threadCount(topology),
      topology: topology.cores.map((core) => ({ package: core.package, core: core.core, threads: core.threads })),
    },
    memory: String(machine.memoryBytes),
    ...(machine.gpus.length === 0 ? {} : { gpus: machine.gpus }),
    disks: [{ path: disk.path, fileSystem: disk.fileSystem, size: String(disk.sizeBytes), free: String(disk.freeBytes) }],
    engine: {
      name: engine.name,
      version: engine.version,
      storageDriver: engine.storageDriver,
      cgroupVersion: engine.cgroupVersion,
      runtimes: engine.runtimes,
    },
  };
}

/** What `potluck status` and the summary of `potluck up` show of a pool. */
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { conditionTypes } from '../api/reasons.ts';
import { instances, providers } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import { formatTable } from './command-line/format-table.ts';

export interface ProviderRow {
  name: string;
  phase: string;
  owner: string;
  cpu: string;
  memory: string;
  disk: string;
}

export interface InstanceRow {
  namespace: string;
  name: string;
  phase: string;
  provider: string;
  hostname: string;
  /** Why it is not ready; empty when it is. */
  message: string;
}

export interface PoolOverview {
  providers: ProviderRow[];
  instances: InstanceRow[];
}

export async function readOverview(client: Client, options: { signal: AbortSignal; timeoutMs: number }): Promise<PoolOverview> {
  const [providerList, instanceList] = await Promise.all([client.list(providers, options), client.list(instances, options)]);
  return { providers: providerList.items.map(providerRow), instances: instanceList.items.map(instanceRow) };
}

export function providerRow({ metadata, spec, status }: Provider): ProviderRow {
  const amounts = status?.allocatable ?? spec.offer;
  const amount = (name: string): string => String(amounts[name] ?? '');
  return {
    name: metadata.name ?? '',
    phase: status?.phase ?? 'Pending',
    owner: spec.owner,
    cpu: amount('cpu'),
    memory: amount('memory'),
    disk: amount('disk'),
  };
}

export function instanceRow({ metadata, status }: Instance): InstanceRow {
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    phase: status?.phase ?? 'Pending',
    provider: status?.assignment?.providerName ?? '',
    hostname: status?.hostname ?? '',
    message: whyNotReady(status),
  };
}

export function formatProviders(rows: readonly ProviderRow[]): string {
  const cells = rows.map((row) => [row.name, row.phase, row.owner, row.cpu, row.memory, row.disk]);
  return formatTable(['PROVIDER', 'PHASE', 'OWNER', 'CPU', 'MEMORY', 'DISK'], cells);
}

export function formatInstances(rows: readonly InstanceRow[]): string {
  const cells = rows.map((row) => [row.namespace, row.name, row.phase, row.provider, row.hostname, row.message]);
  return formatTable(['NAMESPACE', 'INSTANCE', 'PHASE', 'PROVIDER', 'HOSTNAME', 'MESSAGE'], cells);
}

function whyNotReady(status: Instance['status']): string {
  const ready = status?.conditions?.find((condition) => condition.type === conditionTypes.ready);
  return ready?.status === 'True' ? '' : (ready?.message ?? '');
}

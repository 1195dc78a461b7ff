/** What a provider's agent serves to Prometheus: instances and machine under cAdvisor's names and labels, and what is the pool's own. Pure. */
import { instanceLabel } from '../../api/names.ts';
import { parseQuantity, quantityToNumber } from '../../api/quantity.ts';
import type { MetricFamily, MetricSample } from '../../runtime/collected-metrics.ts';
import { threadCount } from '../inventory/cpu-topology.ts';
import type { Machine } from '../inventory/machine.ts';
import type { NetworkCounters } from './container-counters.ts';
import type { MeasuredContainer } from './usage-monitor.ts';

export interface AgentFacts {
  measured: readonly MeasuredContainer[];
  machine: Machine;
  /** Of a container's own layer; undefined when not measured. */
  diskBytes: (containerId: string) => number | undefined;
  /** What the container may write, in bytes; 0 without a limit. */
  diskLimitBytes: (container: MeasuredContainer['container']) => number;
  /** Instances by phase. */
  phases: ReadonlyMap<string, number>;
  /** As in Provider.status. */
  allocatable: Readonly<Record<string, string | number>>;
  used: Readonly<Record<string, string | number>>;
  /** CPU time that measuring took since the start, in seconds. */
  samplingSeconds: number;
  pulls: Readonly<Record<'succeeded' | 'failed', number>>;
}

/** Of the one container of an instance, in Kubernetes' words: its namespace, the instance as a pod, and a container of this name in it. */
export const containerLabel = 'instance';

const containerLabels = ['container', 'id', 'image', 'name', 'namespace', 'pod'] as const;
const machineLabels = ['boot_id', 'machine_id', 'system_uuid'] as const;

const ofContainer: readonly (Omit<MetricFamily, 'labelNames'> & {
  /** A label besides the container's, and its value. */
  also?: readonly [string, string];
  value: (measured: MeasuredContainer, facts: AgentFacts) => number | undefined;
})[] = [
  {
    name: 'container_cpu_usage_seconds_total',
    type: 'counter',
    help: 'Cumulative cpu time consumed in seconds.',
    also: ['cpu', 'total'],
    value: ({ counters }) => counters.cpuNanos / 1e9,
  },
  {
    name: 'container_cpu_user_seconds_total',
    type: 'counter',
    help: 'Cumulative user cpu time consumed in seconds.',
    value: ({ counters }) => counters.userNanos / 1e9,
  },
  {
    name: 'container_cpu_system_seconds_total',
    type: 'counter',
    help: 'Cumulative system cpu time consumed in seconds.',
    value: ({ counters }) => counters.systemNanos / 1e9,
  },
  {
    name: 'container_memory_usage_bytes',
    type: 'gauge',
    help: 'Current memory usage in bytes, including all memory regardless of when it was accessed',
    value: ({ counters }) => counters.memoryBytes,
  },
  {
    name: 'container_memory_working_set_bytes',
    type: 'gauge',
    help: 'Current working set in bytes.',
    value: ({ counters }) => counters.workingSetBytes,
  },
  { name: 'container_memory_rss', type: 'gauge', help: 'Size of RSS in bytes.', value: ({ counters }) => counters.rssBytes },
  {
    name: 'container_memory_cache',
    type: 'gauge',
    help: 'Number of bytes of page cache memory.',
    value: ({ counters }) => counters.cacheBytes,
  },
  {
    name: 'container_fs_usage_bytes',
    type: 'gauge',
    help: 'Number of bytes that are consumed by the container on this filesystem.',
    also: ['device', ''],
    value: ({ container }, { diskBytes }) => diskBytes(container.id),
  },
  {
    name: 'container_fs_limit_bytes',
    type: 'gauge',
    help: 'Number of bytes that can be consumed by the container on this filesystem.',
    also: ['device', ''],
    value: ({ container }, { diskLimitBytes }) => diskLimitBytes(container),
  },
  {
    name: 'container_spec_cpu_period',
    type: 'gauge',
    help: 'CPU period of the container.',
    value: () => 100_000,
  },
  {
    name: 'container_spec_cpu_quota',
    type: 'gauge',
    help: 'CPU quota of the container.',
    value: ({ container }) => container.limits.cpuMillis * 100,
  },
  {
    name: 'container_spec_memory_limit_bytes',
    type: 'gauge',
    help: 'Memory limit for the container.',
    value: ({ container }) => container.limits.memoryBytes,
  },
  {
    name: 'container_start_time_seconds',
    type: 'gauge',
    help: 'Start time of the container since unix epoch in seconds.',
    value: ({ container }) => (container.startedAtMs === undefined ? undefined : container.startedAtMs / 1000),
  },
  {
    name: 'container_last_seen',
    type: 'gauge',
    help: 'Last time a container was seen by the exporter',
    value: ({ measuredAtMs }) => Math.floor(measuredAtMs / 1000),
  },
];

const ofNetwork: readonly { name: string; help: string; value: (counters: NetworkCounters) => number }[] = [
  { name: 'receive_bytes', help: 'Cumulative count of bytes received', value: (counters) => counters.receivedBytes },
  { name: 'receive_packets', help: 'Cumulative count of packets received', value: (counters) => counters.receivedPackets },
  { name: 'receive_errors', help: 'Cumulative count of errors encountered while receiving', value: (counters) => counters.receiveErrors },
  {
    name: 'receive_packets_dropped',
    help: 'Cumulative count of packets dropped while receiving',
    value: (counters) => counters.receivedDropped,
  },
  { name: 'transmit_bytes', help: 'Cumulative count of bytes transmitted', value: (counters) => counters.sentBytes },
  { name: 'transmit_packets', help: 'Cumulative count of packets transmitted', value: (counters) => counters.sentPackets },
  { name: 'transmit_errors', help: 'Cumulative count of errors encountered while transmitting', value: (counters) => counters.sendErrors },
  {
    name: 'transmit_packets_dropped',
    help: 'Cumulative count of packets dropped while transmitting',
    value: (counters) => counters.sentDropped,
  },
];

const ofMachine: readonly { name: string; help: string; value: (machine: Machine) => number }[] = [
  { name: 'machine_cpu_cores', help: 'Number of logical CPU cores.', value: ({ topology }) => threadCount(topology) },
  { name: 'machine_cpu_physical_cores', help: 'Number of physical CPU cores.', value: ({ topology }) => topology.cores.length },
  { name: 'machine_memory_bytes', help: 'Amount of memory installed on the machine.', value: ({ memoryBytes }) => memoryBytes },
];

const own: readonly MetricFamily[] = [
  { name: 'potluck_agent_instances', type: 'gauge', help: 'Instances that are assigned to this provider', labelNames: ['phase'] },
  { name: 'potluck_agent_image_pulls_total', type: 'counter', help: 'Pulls of images that ended', labelNames: ['result'] },
  {
    name: 'potluck_agent_sampling_seconds_total',
    type: 'counter',
    help: 'Time that measuring what instances use has taken',
    labelNames: [],
  },
  {
    name: 'potluck_provider_allocatable',
    type: 'gauge',
    help: 'What placement may give away, in cores, bytes, bit/s or a count',
    labelNames: ['resource'],
  },
  {
    name: 'potluck_provider_used',
    type: 'gauge',
    help: 'What instances use together, in cores or bytes, as the API was told',
    labelNames: ['resource'],
  },
];

export const agentFamilies: readonly MetricFamily[] = [
  ...ofContainer.map(({ name, type, help, also }) => ({
    name,
    type,
    help,
    labelNames: also === undefined ? containerLabels : [...containerLabels, also[0]],
  })),
  ...ofNetwork.map(({ name, help }) => ({
    name: `container_network_${name}_total`,
    type: 'counter' as const,
    help,
    labelNames: [...containerLabels, 'interface'],
  })),
  ...ofMachine.map(({ name, help }) => ({ name, type: 'gauge' as const, help, labelNames: machineLabels })),
  ...own,
];

export function agentSamples(facts: AgentFacts): MetricSample[] {
  return [
    ...facts.measured.flatMap((measured) => containerSamples(measured, facts)),
    ...machineSamples(facts.machine),
    ...ownSamples(facts),
  ];
}

function containerSamples(measured: MeasuredContainer, facts: AgentFacts): MetricSample[] {
  const labels = labelsOf(measured);
  const plain = ofContainer.flatMap(({ name, also, value: of }) => {
    const value = of(measured, facts);
    return value === undefined ? [] : [{ name, value, labels: also === undefined ? labels : { ...labels, [also[0]]: also[1] } }];
  });
  const network = measured.counters.networks.flatMap((counters) =>
    ofNetwork.map(({ name, value }) => ({
      name: `container_network_${name}_total`,
      value: value(counters),
      labels: { ...labels, interface: counters.interface },
    })),
  );
  return [...plain, ...network];
}

function labelsOf({ container, cgroup }: MeasuredContainer): Record<string, string> {
  const [namespace = '', pod = ''] = (container.labels[instanceLabel] ?? '').split('/');
  return { container: containerLabel, id: cgroup, image: container.image, name: container.name, namespace, pod };
}

function machineSamples(machine: Machine): MetricSample[] {
  const labels = { boot_id: machine.bootId, machine_id: machine.machineId, system_uuid: '' };
  return ofMachine.map(({ name, value }) => ({ name, labels, value: value(machine) }));
}

function ownSamples({ phases, allocatable, used, samplingSeconds, pulls }: AgentFacts): MetricSample[] {
  const amounts = (name: string, all: AgentFacts['used']): MetricSample[] =>
    Object.entries(all).map(([resource, amount]) => ({ name, labels: { resource }, value: quantityToNumber(parseQuantity(amount)) }));
  return [
    ...[...phases].map(([phase, value]) => ({ name: 'potluck_agent_instances', labels: { phase }, value })),
    ...Object.entries(pulls).map(([result, value]) => ({ name: 'potluck_agent_image_pulls_total', labels: { result }, value })),
    { name: 'potluck_agent_sampling_seconds_total', labels: {}, value: samplingSeconds },
    ...amounts('potluck_provider_allocatable', allocatable),
    ...amounts('potluck_provider_used', used),
  ];
}

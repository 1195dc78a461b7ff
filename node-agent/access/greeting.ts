/** What people at a terminal read when they log in. Pure. */
import type { Instance } from '../../api/generated/instance.ts';
import type { EffectiveResources } from '../../api/effective-resources.ts';

export interface GreetingFacts {
  instance: Instance;
  resources: EffectiveResources | undefined;
  /** What it wrote to its own disk; undefined when nobody measured yet. */
  diskUsedBytes: number | undefined;
}

/** One line of names and one of limits. */
export function greeting({ instance, resources, diskUsedBytes }: GreetingFacts): string {
  const { metadata, status = {} } = instance;
  const name = `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
  const hostname = status.hostname === undefined ? '' : ` (${status.hostname})`;
  const provider = status.assignment?.providerName ?? '';
  const limits = resources === undefined ? [] : limitsOf(resources);
  const used = diskUsedBytes === undefined ? '' : `, ${bytesOf(diskUsedBytes)} used`;
  return `Instance ${name}${hostname} on provider ${provider}\n${limits.length === 0 ? '' : `At most ${limits.join(', ')}${used}\n`}`;
}

function limitsOf({ cpuLimitMillicores, memoryLimitBytes, diskLimitBytes }: EffectiveResources): string[] {
  const cores = cpuLimitMillicores / 1000;
  return [
    ...(cores > 0 ? [`${cores} ${cores === 1 ? 'core' : 'cores'}`] : []),
    ...(memoryLimitBytes > 0 ? [`memory ${bytesOf(memoryLimitBytes)}`] : []),
    diskLimitBytes > 0 ? `disk ${bytesOf(diskLimitBytes)}` : 'disk without a limit',
  ];
}

function bytesOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** step;
  return `${amount >= 10 || step === 0 ? Math.round(amount) : Math.round(amount * 10) / 10} ${units[step] ?? 'B'}`;
}

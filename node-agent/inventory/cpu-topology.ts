/** Physical cores and their logical processors, from `/sys/devices/system/cpu`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCpuSet } from '../limits/cpu-set.ts';

export interface CpuCore {
  package: number;
  /** Unique in its package only. */
  core: number;
  /** Logical processors that are online, ascending. */
  threads: number[];
}

export interface CpuTopology {
  /** By their first logical processor. */
  cores: CpuCore[];
}

/**
 * Reads the tree under `root` (`/sys/devices/system/cpu`). Processors without topology files (some virtual machines) count as a core each.
 * Hybrid processors have cores with and without siblings: nothing here supposes that all are alike. `allowed` are the processors that containers
 * can be put on, where the machine's control groups leave not all of them; the others are not there for us.
 */
export async function readCpuTopology(root: string, allowed: readonly number[] = []): Promise<CpuTopology> {
  const all = parseCpuSet(await readFile(join(root, 'online'), 'utf8'));
  const online = allowed.length === 0 ? all : all.filter((cpu) => allowed.includes(cpu));
  const cores = new Map<string, CpuCore>();
  for (const cpu of online) {
    const directory = join(root, `cpu${cpu}`, 'topology');
    const siblings = parseCpuSet(await read(join(directory, 'thread_siblings_list'), String(cpu))).filter((each) => online.includes(each));
    const key = siblings.join(',');
    if (cores.has(key)) continue;
    const packageId = Number(await read(join(directory, 'physical_package_id'), '0'));
    const coreId = Number(await read(join(directory, 'core_id'), String(cpu)));
    // Some ARM firmware says -1 for a package.
    cores.set(key, { package: Math.max(0, packageId), core: Math.max(0, coreId), threads: siblings });
  }
  return { cores: [...cores.values()].sort((a, b) => (a.threads[0] ?? 0) - (b.threads[0] ?? 0)) };
}

/** Of the root of the control groups below `root` (`/`), v1 or v2; empty where they leave all. */
export async function readAllowedCpus(root: string): Promise<number[]> {
  for (const file of ['cpuset.cpus.effective', 'cpuset/cpuset.effective_cpus', 'cpuset/cpuset.cpus']) {
    const cpus = parseCpuSet(await read(join(root, 'sys/fs/cgroup', file), ''));
    if (cpus.length > 0) return cpus;
  }
  return [];
}

async function read(path: string, otherwise: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return otherwise;
  }
}

export function threadCount(topology: CpuTopology): number {
  return topology.cores.reduce((sum, { threads }) => sum + threads.length, 0);
}

export function packageCount(topology: CpuTopology): number {
  return new Set(topology.cores.map((core) => core.package)).size;
}

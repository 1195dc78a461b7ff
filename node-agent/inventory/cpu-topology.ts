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
 * Hybrid processors have cores with and without siblings: nothing here supposes that all are alike.
 */
export async function readCpuTopology(root: string): Promise<CpuTopology> {
  const online = parseCpuSet(await readFile(join(root, 'online'), 'utf8'));
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

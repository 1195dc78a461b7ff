/** What a machine has, and what of it instances may have. Pure. */
import { minAmounts, formatAmounts } from '../../api/resource-amounts.ts';
import type { WrittenAmounts } from '../../api/effective-resources.ts';
import type { Disk, Machine } from './machine.ts';
import { threadCount } from './cpu-topology.ts';

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

/** What was measured: cpu in logical processors, as Kubernetes counts them, memory and disk in bytes. */
export function capacityOf(machine: Machine, disk: Disk): Record<string, string> {
  return formatAmounts({
    cpu: String(threadCount(machine.topology)),
    memory: `${Math.floor(machine.memoryBytes / mebibyte)}Mi`,
    disk: `${Math.floor(disk.sizeBytes / gibibyte)}Gi`,
  });
}

/**
 * The least of what the owner offers and allows and what can be given away. What is not offered but measured counts as measured.
 * - CPU: all of it. The kernel divides it by weight, and the owner's first core is never given to an instance alone.
 * - Memory: less what the system, the engine and the agent need to live; memory cannot be taken back as CPU can.
 * - Disk: of a file system of its own all but what its own records take; of a shared one what is free now.
 */
export function allocatableOf(bounds: readonly WrittenAmounts[], machine: Machine, disk: Disk): Record<string, string> {
  const reserve = Math.min(gibibyte, Math.max(256 * mebibyte, machine.memoryBytes * 0.05));
  const memoryBytes = Math.max(0, machine.memoryBytes - reserve);
  const diskBytes = disk.dedicated ? disk.sizeBytes * 0.95 : disk.freeBytes;
  const most = {
    cpu: String(threadCount(machine.topology)),
    memory: `${Math.floor(memoryBytes / mebibyte)}Mi`,
    // Coarse: what is free on a shared disk changes all the time.
    disk: `${Math.floor(diskBytes / gibibyte)}Gi`,
  };
  return formatAmounts(minAmounts([...bounds, most]));
}

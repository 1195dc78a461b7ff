/** What a machine has, and what of it instances may have. Pure. */
import type { ConditionUpdate } from '../../api/conditions.ts';
import { gpuResource } from '../../api/effective-resources.ts';
import type { WrittenAmounts } from '../../api/effective-resources.ts';
import { compareQuantities, formatQuantity } from '../../api/quantity.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { formatAmounts, minAmounts, parseAmounts } from '../../api/resource-amounts.ts';
import type { ParsedAmounts } from '../../api/resource-amounts.ts';
import { threadCount } from './cpu-topology.ts';
import type { Disk, Machine } from './machine.ts';

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

/** What was measured: cpu in logical processors, as Kubernetes counts them, memory and disk in bytes. */
export function capacityOf(machine: Machine, disk: Disk): Record<string, string> {
  return formatAmounts({
    cpu: String(threadCount(machine.topology)),
    memory: `${Math.floor(machine.memoryBytes / mebibyte)}Mi`,
    disk: `${Math.floor(disk.sizeBytes / gibibyte)}Gi`,
    ...(machine.gpus.length === 0 ? {} : { [gpuResource]: String(machine.gpus.length) }),
  });
}

/**
 * The least of what the owner offers and allows and what can be given away. What is not offered but measured counts as measured, but for
 * graphics processors: who does not offer them keeps them. `bounds` begins with the offer.
 */
export function allocatableOf(bounds: readonly WrittenAmounts[], machine: Machine, disk: Disk): Record<string, string> {
  const [offer = {}] = bounds;
  const most = Object.entries(mostOf(machine, disk)).filter(([name]) => name !== gpuResource || offer[name] !== undefined);
  return formatAmounts(minAmounts([...bounds, Object.fromEntries(most)]));
}

/** Whether the machine can give what is offered, and if not, to what the offer is cut. */
export function judgeOffer(offer: WrittenAmounts, machine: Machine, disk: Disk): ConditionUpdate {
  const type = conditionTypes.offerWithinCapacity;
  const [offered, most] = [parseAmounts(offer), mostOf(machine, disk)];
  const cut = Object.entries(most).flatMap(([name, least]) => {
    const amount = offered[name];
    if (amount === undefined || compareQuantities(amount, least) <= 0) return [];
    return [`${formatQuantity(least)} of the ${formatQuantity(amount)} ${name}`];
  });
  if (cut.length === 0) return { type, status: 'True', reason: reasons.offerFits, message: 'The machine has what is offered' };
  return { type, status: 'False', reason: reasons.offerCut, message: `Of what is offered the machine can give only ${cut.join(', ')}` };
}

/**
 * - CPU: all of it. The kernel divides it by weight, and the owner's first core is never given to an instance alone.
 * - Memory: less what the system, the engine and the agent need to live; memory cannot be taken back as CPU can.
 * - Disk: of a file system of its own all but what its own records take; of a shared one what is free now.
 */
function mostOf(machine: Machine, disk: Disk): ParsedAmounts {
  const reserve = Math.min(gibibyte, Math.max(256 * mebibyte, machine.memoryBytes * 0.05));
  const memoryBytes = Math.max(0, machine.memoryBytes - reserve);
  const diskBytes = disk.dedicated ? disk.sizeBytes * 0.95 : disk.freeBytes;
  return parseAmounts({
    cpu: String(threadCount(machine.topology)),
    memory: `${Math.floor(memoryBytes / mebibyte)}Mi`,
    // Coarse: what is free on a shared disk changes all the time.
    disk: `${Math.floor(diskBytes / gibibyte)}Gi`,
    [gpuResource]: String(machine.gpus.length),
  });
}

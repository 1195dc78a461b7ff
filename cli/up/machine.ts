/** What this machine is, as far as enrolling it needs to know. */
import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';

export interface Machine {
  threads: number;
  memoryBytes: number;
  /** Free where the pool keeps its data. */
  freeDiskBytes: number;
}

export async function readMachine(home: string): Promise<Machine> {
  const { bavail, bsize } = await statfs(home);
  return { threads: availableParallelism(), memoryBytes: totalmem(), freeDiskBytes: bavail * bsize };
}

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/**
 * What is lent of a machine whose owner did not say: every processor (they are shared fairly with whatever else runs), three quarters of the
 * memory and half of the free disk. The owner changes it in the Provider's spec. Pure.
 */
export function defaultOffer(machine: Machine): { cpu: string; memory: string; disk: string } {
  return {
    cpu: String(Math.max(1, machine.threads)),
    memory: `${Math.max(64, Math.floor((machine.memoryBytes * 0.75) / mebibyte / 64) * 64)}Mi`,
    disk: `${Math.max(1, Math.floor((machine.freeDiskBytes * 0.5) / gibibyte))}Gi`,
  };
}

/** A DNS label made of any text: what a hostname or a user's name becomes in the pool. Pure. */
export function toLabel(text: string, fallback: string): string {
  const label = text
    .toLowerCase()
    .normalize('NFKD')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40)
    .replaceAll(/-+$/g, '');
  return label === '' ? fallback : label;
}

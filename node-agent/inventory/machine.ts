/** What this machine is, read from the files of the system below a given root. */
import { readFile, statfs } from 'node:fs/promises';
import { arch, hostname, networkInterfaces, release } from 'node:os';
import { join } from 'node:path';
import { readMounts } from '../engine/mount-table.ts';
import { readAllowedCpus, readCpuTopology } from './cpu-topology.ts';
import type { CpuTopology } from './cpu-topology.ts';
import { readGpus } from './gpus.ts';
import type { Gpu } from './gpus.ts';

export interface Machine {
  hostname: string;
  machineId: string;
  /** Another after each start of the machine. */
  bootId: string;
  /** In Go's names, as image manifests have them. */
  architecture: string;
  operatingSystem: string;
  kernelVersion: string;
  cpuModel: string;
  topology: CpuTopology;
  memoryBytes: number;
  addresses: { interface: string; address: string }[];
  /** That instances can be given. */
  gpus: Gpu[];
}

export interface Disk {
  path: string;
  fileSystem: string;
  sizeBytes: number;
  freeBytes: number;
  /** Whether the path is a file system of its own, so that nothing else takes room in it. */
  dedicated: boolean;
}

/** More than any machine of a person has; the API takes no more. */
const mostAddresses = 64;

/** `root` is `/`, or a recorded tree. */
export async function readMachine(root: string): Promise<Machine> {
  const read = async (path: string): Promise<string> => readFile(join(root, path), 'utf8').catch(() => '');
  return {
    hostname: hostname(),
    machineId: (await read('etc/machine-id')).trim(),
    bootId: (await read('proc/sys/kernel/random/boot_id')).trim(),
    architecture: goArchitecture(arch()),
    operatingSystem: parseOsRelease(await read('etc/os-release')),
    kernelVersion: release(),
    cpuModel: parseCpuModel(await read('proc/cpuinfo')),
    topology: await readCpuTopology(join(root, 'sys/devices/system/cpu'), await readAllowedCpus(root)),
    memoryBytes: parseMemory(await read('proc/meminfo')),
    addresses: addresses(),
    gpus: await readGpus(root),
  };
}

export async function readDisk(path: string): Promise<Disk> {
  const { blocks, bavail, bsize, type } = await statfs(path);
  const mount = (await readMounts()).findLast(({ target }) => target === path);
  return {
    path,
    fileSystem: mount?.fileSystem ?? `0x${type.toString(16)}`,
    sizeBytes: blocks * bsize,
    freeBytes: bavail * bsize,
    dedicated: mount !== undefined && path !== '/',
  };
}

/** `PRETTY_NAME`, or `Linux`. */
export function parseOsRelease(text: string): string {
  const name = /^PRETTY_NAME=(["']?)(.*)\1$/m.exec(text)?.[2];
  return name === undefined || name === '' ? 'Linux' : name;
}

/** ARM has no model name. */
export function parseCpuModel(text: string): string {
  return /^model name\s*:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? /^Model\s*:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? '';
}

/** Bytes; 0 when it does not say. */
export function parseMemory(text: string): number {
  return Number(/^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

export function goArchitecture(name: string): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', loong64: 'loong64' };
  return names[name] ?? name;
}

function addresses(): Machine['addresses'] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).filter(({ internal }) => !internal).map(({ cidr, address }) => ({ interface: name, address: cidr ?? address })),
  );
  return all.slice(0, mostAddresses);
}

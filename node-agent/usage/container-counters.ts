/**
 * What a container has used so far, read from the kernel's own files: cgroup v1 or v2, and the network devices of its namespace. Reading is
 * synchronous: these files have no disk behind them, and a trip through the thread pool costs several times what the read does.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { v1Files, v2Files } from './cgroup-files.ts';
import type { CgroupCounters, CgroupFiles } from './cgroup-files.ts';

export interface NetworkCounters {
  /** As the container sees it: `eth0`. */
  interface: string;
  receivedBytes: number;
  receivedPackets: number;
  receiveErrors: number;
  receivedDropped: number;
  sentBytes: number;
  sentPackets: number;
  sendErrors: number;
  sentDropped: number;
}

export interface ContainerCounters extends CgroupCounters {
  /** Without the loopback interface. */
  networks: NetworkCounters[];
}

/** Reads the counters of one run of a container; undefined once it has ended. */
export interface CounterSource {
  /** Path of the cgroup, as the kernel names it. */
  readonly cgroup: string;
  read(): ContainerCounters | undefined;
}

/**
 * Finds the counters of a container by its first process, wherever its engine put its cgroup. Undefined when there is no such process, or
 * when it is not the container's: an engine in a virtual machine counts processes of its own. `root` is `/`, or a recorded tree.
 */
export function openCounters(root: string, { pid, containerId }: { pid: number; containerId: string }): CounterSource | undefined {
  const read = (path: string): string | undefined => readText(join(root, path));
  const text = read(`proc/${pid}/cgroup`);
  const found = text === undefined ? undefined : cgroupOf(text);
  if (found === undefined) return undefined;
  const { files, path } = found;
  if (!path.includes(containerId)) return undefined;
  return {
    cgroup: path,
    read: () => {
      const counters = files.read((file) => read(file), path);
      const devices = read(`proc/${pid}/net/dev`);
      return counters === undefined || devices === undefined ? undefined : { ...counters, networks: parseNetworkDevices(devices) };
    },
  };
}

/** From `/proc/PID/cgroup`: lines of `id:controllers:path`; the unified hierarchy (v2) has no controllers named. */
export function cgroupOf(text: string): { files: CgroupFiles; path: string } | undefined {
  let unified: string | undefined;
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === '') continue;
    // Where both are mounted, the controllers are where memory is.
    if (controllers.split(',').includes('memory')) return { files: v1Files, path };
    if (controllers === '') unified = path;
  }
  return unified === undefined ? undefined : { files: v2Files, path: unified };
}

/** `/proc/PID/net/dev`: two lines of titles, then for each device eight numbers received and eight sent. */
export function parseNetworkDevices(text: string): NetworkCounters[] {
  return text
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const [name = '', numbers = ''] = line.split(':');
      const device = name.trim();
      if (device === '' || device === 'lo') return [];
      const at = numbers.trim().split(/\s+/).map(Number);
      return [
        {
          interface: device,
          receivedBytes: at[0] ?? 0,
          receivedPackets: at[1] ?? 0,
          receiveErrors: at[2] ?? 0,
          receivedDropped: at[3] ?? 0,
          sentBytes: at[8] ?? 0,
          sentPackets: at[9] ?? 0,
          sendErrors: at[10] ?? 0,
          sentDropped: at[11] ?? 0,
        },
      ];
    });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended.
    return undefined;
  }
}

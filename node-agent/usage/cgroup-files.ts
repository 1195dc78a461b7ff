/** The files of a control group: two versions of the kernel's interface behind one port. Sums include everything below the group. */

export interface CgroupCounters {
  /** Nanoseconds of CPU time since the container started. */
  cpuNanos: number;
  userNanos: number;
  systemNanos: number;
  /** All memory that counts against the limit, caches of files included. */
  memoryBytes: number;
  /** What cannot be taken back without hurting: memory less the caches that nothing used of late, as kubelet computes it. */
  workingSetBytes: number;
  /** Anonymous memory. */
  rssBytes: number;
  /** Caches of files. */
  cacheBytes: number;
}

export interface CgroupFiles {
  /** `read` answers a file below the root of the system, or undefined. Undefined when the group is gone. */
  read(read: (path: string) => string | undefined, path: string): CgroupCounters | undefined;
}

/** `cpuacct.stat` counts in ticks, of which Linux shows 100 in a second on every architecture. */
const nanosPerTick = 10_000_000;

/** One hierarchy for each controller. */
export const v1Files: CgroupFiles = {
  read: (read, path) => {
    const cpu = read(`sys/fs/cgroup/cpuacct${path}/cpuacct.usage`);
    const times = read(`sys/fs/cgroup/cpuacct${path}/cpuacct.stat`);
    const usage = read(`sys/fs/cgroup/memory${path}/memory.usage_in_bytes`);
    const memory = read(`sys/fs/cgroup/memory${path}/memory.stat`);
    if (cpu === undefined || times === undefined || usage === undefined || memory === undefined) return undefined;
    const memoryBytes = Number(usage);
    return {
      cpuNanos: Number(cpu),
      userNanos: field(times, 'user') * nanosPerTick,
      systemNanos: field(times, 'system') * nanosPerTick,
      memoryBytes,
      workingSetBytes: Math.max(0, memoryBytes - field(memory, 'total_inactive_file')),
      rssBytes: field(memory, 'total_rss'),
      cacheBytes: field(memory, 'total_cache'),
    };
  },
};

/** One hierarchy for all. */
export const v2Files: CgroupFiles = {
  read: (read, path) => {
    const cpu = read(`sys/fs/cgroup${path}/cpu.stat`);
    const usage = read(`sys/fs/cgroup${path}/memory.current`);
    const memory = read(`sys/fs/cgroup${path}/memory.stat`);
    if (cpu === undefined || usage === undefined || memory === undefined) return undefined;
    const memoryBytes = Number(usage);
    return {
      cpuNanos: field(cpu, 'usage_usec') * 1000,
      userNanos: field(cpu, 'user_usec') * 1000,
      systemNanos: field(cpu, 'system_usec') * 1000,
      memoryBytes,
      workingSetBytes: Math.max(0, memoryBytes - field(memory, 'inactive_file')),
      rssBytes: field(memory, 'anon'),
      cacheBytes: field(memory, 'file'),
    };
  },
};

/** The number on the line `name number`; 0 when there is none. */
function field(text: string, name: string): number {
  const start = text.startsWith(`${name} `) ? 0 : text.indexOf(`\n${name} `) + 1;
  if (start === 0 && !text.startsWith(`${name} `)) return 0;
  const from = start + name.length + 1;
  const end = text.indexOf('\n', from);
  return Number(text.slice(from, end === -1 ? undefined : end));
}

/** What the kernel really holds a container to, read from its control group: two versions of the interface behind one port. */

export interface CgroupLimits {
  /** How often its processes were kept from the CPU because the quota was spent. */
  throttledPeriods: number;
  /** Thousandths of a processor; undefined without a quota. */
  cpuMillis: number | undefined;
  /** Undefined without a limit. */
  memoryBytes: number | undefined;
  pids: number | undefined;
}

/** `read` answers a file below the root of the system, or undefined. `group` is the path that `/proc/PID/cgroup` has. Undefined when it is gone. */
export type LimitReader = (read: (path: string) => string | undefined, group: string) => CgroupLimits | undefined;

/** v1 writes its largest page-aligned number for no limit. */
const v1Unlimited = 2 ** 62;

/** One hierarchy for each controller. */
export const v1Limits: LimitReader = (read, group) => {
  const stat = read(`sys/fs/cgroup/cpu${group}/cpu.stat`);
  const [quota, period] = ['quota', 'period'].map((name) => read(`sys/fs/cgroup/cpu${group}/cpu.cfs_${name}_us`));
  const memory = read(`sys/fs/cgroup/memory${group}/memory.limit_in_bytes`);
  const pids = read(`sys/fs/cgroup/pids${group}/pids.max`);
  if (stat === undefined || quota === undefined || memory === undefined) return undefined;
  return {
    throttledPeriods: throttled(stat),
    cpuMillis: Number(quota) > 0 ? (Number(quota) * 1000) / Number(period) : undefined,
    memoryBytes: Number(memory) >= v1Unlimited ? undefined : Number(memory),
    pids: numberOrMax(pids),
  };
};

/** One hierarchy for all. */
export const v2Limits: LimitReader = (read, group) => {
  const stat = read(`sys/fs/cgroup${group}/cpu.stat`);
  const max = read(`sys/fs/cgroup${group}/cpu.max`);
  if (stat === undefined || max === undefined) return undefined;
  const [quota = 'max', period = '100000'] = max.trim().split(' ');
  return {
    throttledPeriods: throttled(stat),
    cpuMillis: quota === 'max' ? undefined : (Number(quota) * 1000) / Number(period),
    memoryBytes: numberOrMax(read(`sys/fs/cgroup${group}/memory.max`)),
    pids: numberOrMax(read(`sys/fs/cgroup${group}/pids.max`)),
  };
};

function throttled(stat: string): number {
  return Number(/^nr_throttled (\d+)$/m.exec(stat)?.[1] ?? 0);
}

function numberOrMax(text: string | undefined): number | undefined {
  return text === undefined || text.trim() === 'max' ? undefined : Number(text);
}

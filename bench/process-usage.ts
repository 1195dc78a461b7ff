/** What processes take, from /proc. */
import { readFile } from 'node:fs/promises';

export interface ProcessUsage {
  residentMb: number;
  cpuSeconds: number;
}

const clockTicksPerSecond = 100;

/** Fields 14 and 15 of stat are user and system time in ticks. */
export async function processUsage(pid: number): Promise<ProcessUsage> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return {
    residentMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond,
  };
}

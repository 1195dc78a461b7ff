/** What each probe showed: the level of enforcement and one sentence of evidence. Pure. */
import type { EnforcementStatus } from '../../../api/enforcement.ts';
import type { CgroupLimits } from '../cgroup-limits.ts';

/** How a probe's container ended. */
export interface ProbeEnd {
  exitCode: number;
  oomKilled: boolean;
}

/** What the probes are given, and must not get past. */
export const probeLimits = {
  cpuMillis: 100,
  memoryBytes: 16 * 1024 * 1024,
  pids: 12,
  /** Beyond the image. */
  diskBytes: 16 * 1024 * 1024,
} as const;

/** What they try to use up. */
export const probeAttempts = { memoryBytes: 64 * 1024 * 1024, pids: 40, diskBytes: 48 * 1024 * 1024 } as const;

export interface Finding<L extends string> {
  level: L;
  evidence: string;
}

export function judgeCpu(usedMillis: number, limits: CgroupLimits | undefined): Finding<'Quota' | 'None'> {
  const used = `a busy loop under ${probeLimits.cpuMillis}m used ${Math.round(usedMillis)}m of CPU`;
  if (limits === undefined) return { level: 'None', evidence: `${used}; its control group cannot be read` };
  const held = `${used} and was held back ${limits.throttledPeriods} times`;
  // A machine that is busy with other things gives little as well: that the quota held it back must be seen.
  const bites = limits.throttledPeriods > 0 && usedMillis <= probeLimits.cpuMillis * 1.5;
  return { level: bites ? 'Quota' : 'None', evidence: held };
}

export function judgeMemory(end: ProbeEnd): Finding<'Hard' | 'None'> {
  const what = `${mebibytes(probeAttempts.memoryBytes)} were asked for under ${mebibytes(probeLimits.memoryBytes)}`;
  if (end.oomKilled || end.exitCode === 137) return { level: 'Hard', evidence: `${what}: the kernel ended the process` };
  if (end.exitCode !== 0) return { level: 'Hard', evidence: `${what}: the process did not get them (exit code ${end.exitCode})` };
  return { level: 'None', evidence: `${what}: the process got them` };
}

export function judgePids(end: ProbeEnd): Finding<'Hard' | 'None'> {
  const what = `${probeAttempts.pids} processes were started under a limit of ${probeLimits.pids}`;
  return end.exitCode === 0
    ? { level: 'None', evidence: `${what}: all came up` }
    : { level: 'Hard', evidence: `${what}: the kernel refused` };
}

/** `end` is undefined where the engine has no quota to try. */
export function judgeDisk(end: ProbeEnd | undefined, storageDriver: string): Finding<'Quota' | 'Watchdog' | 'None'> {
  if (end === undefined)
    return { level: 'Watchdog', evidence: `${storageDriver} has no quotas here: the agent measures, pauses and stops` };
  const what = `${mebibytes(probeAttempts.diskBytes)} were written under ${mebibytes(probeLimits.diskBytes)} on ${storageDriver}`;
  if (end.exitCode !== 0) return { level: 'Quota', evidence: `${what}: the write was refused` };
  return { level: 'Watchdog', evidence: `${what}: all were taken, so the agent measures, pauses and stops` };
}

export interface SandboxTrial {
  /** Whether the engine knows the runtime. */
  known: boolean;
  /** Why it did not start. */
  error?: string;
  end?: ProbeEnd;
}

/** The probe ends with 0 only where it saw a network device other than the loopback. */
export function judgeSandbox({ known, error, end }: SandboxTrial): Finding<'Available' | 'None'> {
  if (!known) return { level: 'None', evidence: 'the engine has no runtime runsc' };
  if (error !== undefined) return { level: 'None', evidence: `runsc does not start a container with a network: ${error}` };
  if (end?.exitCode === 0) return { level: 'Available', evidence: 'a container ran under runsc and had a network' };
  return { level: 'None', evidence: 'a container ran under runsc and had no network' };
}

export interface NetworkFacts {
  /** Whether limits of bandwidth are put in place beside the engine. */
  shaped: boolean;
  /** Why the walls do not stand; undefined while they do; null where there are none to stand. */
  wallsDown: string | undefined | null;
}

export function judgeNetwork({ shaped, wallsDown }: NetworkFacts): Pick<Findings, 'ingress' | 'egress' | 'isolation'> {
  const shaping = shaped
    ? ({ level: 'Shaped', evidence: 'queues stand on both ways of every instance before its first packet' } as const)
    : ({ level: 'None', evidence: 'the engine is not the pool’s own: not shaped' } as const);
  const isolation =
    wallsDown === undefined
      ? ({ level: 'Walled', evidence: 'the pool’s rules stand around its network; instances stop while they do not' } as const)
      : ({ level: 'None', evidence: wallsDown === null ? 'the engine is not the pool’s own: no walls' : wallsDown } as const);
  return { ingress: shaping, egress: shaping, isolation };
}

export interface Findings {
  cpu: Finding<'Quota' | 'None'>;
  memory: Finding<'Hard' | 'None'>;
  disk: Finding<'Quota' | 'Watchdog' | 'None'>;
  pids: Finding<'Hard' | 'None'>;
  ingress: Finding<'Shaped' | 'None'>;
  egress: Finding<'Shaped' | 'None'>;
  isolation: Finding<'Walled' | 'None'>;
  sandbox: Finding<'Available' | 'None'>;
}

const longestEvidence = 512;

export function enforcementStatus(findings: Findings, probedAt: string): EnforcementStatus {
  const kinds = Object.keys(findings) as (keyof Findings)[];
  const levels = Object.fromEntries(kinds.map((kind) => [kind, findings[kind].level])) as Omit<EnforcementStatus, 'evidence' | 'probedAt'>;
  const evidence = Object.fromEntries(kinds.map((kind) => [kind, findings[kind].evidence.slice(0, longestEvidence)]));
  return { ...levels, probedAt, evidence };
}

function mebibytes(bytes: number): string {
  return `${bytes / 1024 ** 2} MiB`;
}

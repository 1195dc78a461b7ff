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
  bandwidthBitsPerSecond: 1_000_000,
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

export interface ShapingTrial {
  sentBitsPerSecond: number;
  passedBitsPerSecond: number;
}

/** `trial` is undefined where limits of bandwidth are nobody's to set: on an engine that is not the pool's own. */
export function judgeShaping(trial: ShapingTrial | undefined): Finding<'Shaped' | 'None'> {
  if (trial === undefined) return { level: 'None', evidence: 'the engine is not the pool’s own: not shaped' };
  const limit = probeLimits.bandwidthBitsPerSecond;
  const { sentBitsPerSecond: sent, passedBitsPerSecond: passed } = trial;
  const evidence = `of ${megabits(sent)} under a limit of ${megabits(limit)}, ${megabits(passed)} went through`;
  // What a burst lets through at once counts too; and what lets nothing through shows nothing.
  const bites = sent >= limit * 2 && passed <= limit * 1.3 && passed >= limit * 0.3;
  return { level: bites ? 'Shaped' : 'None', evidence };
}

export interface WallsTrial {
  /** How many addresses. */
  knocked: number;
  /** Those at which TCP had an answer. */
  answered: readonly string[];
  /** Datagrams that came to where we listen. */
  arrived: number;
  /** Whether what we sent ourselves was counted where we listen. */
  countersCount: boolean;
}

/** `trial` is undefined where there are no walls to stand. */
export function judgeWalls(trial: WallsTrial | undefined): Finding<'Walled' | 'None'> {
  if (trial === undefined) return { level: 'None', evidence: 'the engine is not the pool’s own: no walls' };
  const { knocked, answered, arrived, countersCount } = trial;
  const what = `a container knocked at ${knocked} addresses (this machine, its gateway, the metadata address, another container)`;
  if (!countersCount) return { level: 'None', evidence: `${what}, and it could not be seen what arrives` };
  if (arrived > 0) return { level: 'None', evidence: `${what}: ${arrived} datagrams arrived` };
  if (answered.length > 0) return { level: 'None', evidence: `${what}: ${answered.join(', ')} answered` };
  return { level: 'Walled', evidence: `${what}: nothing arrived` };
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

function megabits(bitsPerSecond: number): string {
  return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
}

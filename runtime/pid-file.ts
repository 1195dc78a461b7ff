/**
 * Remembers a child across our own death, so that the next start finds a survivor and never kills a stranger: a pid alone is reused, a pid
 * with its start time and boot is not. Linux only (`/proc`).
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface PidRecord {
  pid: number;
  /** Clock ticks after boot at which the process started: field 22 of `/proc/PID/stat`. */
  startTicks: string;
  bootId: string;
  /** What it was started with, the command first. */
  argv: string[];
}

export type Survivor =
  /** No such process, or another one under its number. */
  | { kind: 'none' }
  | { kind: 'ours'; pid: number }
  /** The number and the start time are right, the command line is not: leave it alone and ask a person. */
  | { kind: 'doubtful'; pid: number; commandLine: string };

/** Answers undefined when there is no process `pid` any more, or only its corpse. */
async function readIdentity(pid: number): Promise<{ startTicks: string; bootId: string } | undefined> {
  const stat = await readText(`/proc/${pid}/stat`);
  const bootId = await readText('/proc/sys/kernel/random/boot_id');
  if (stat === undefined || bootId === undefined) return undefined;
  // The second field is the command in parentheses and may hold anything, also spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return startTicks === undefined || state === 'Z' || state === 'X' ? undefined : { startTicks, bootId: bootId.trim() };
}

/** Writes the record of a process that was just started. Answers false when it has ended already. */
export async function writePidFile(path: string, pid: number, argv: readonly string[]): Promise<boolean> {
  const identity = await readIdentity(pid);
  if (identity === undefined) return false;
  const record: PidRecord = { pid, ...identity, argv: [...argv] };
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return true;
}

export async function removePidFile(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Says whether the process of which the file tells still lives. A missing or damaged file counts as none. */
export async function findSurvivor(path: string): Promise<Survivor> {
  const record = parseRecord(await readText(path));
  if (record === undefined) return { kind: 'none' };
  const identity = await readIdentity(record.pid);
  if (identity?.startTicks !== record.startTicks || identity.bootId !== record.bootId) return { kind: 'none' };
  // A process that gave itself a title has zeros behind it.
  const commandLine = ((await readText(`/proc/${record.pid}/cmdline`)) ?? '').replace(/\0+$/, '').split('\0');
  // A command may put an interpreter in front (scripts) or take its own words away (nsenter, env): either may end with the other.
  const isOurs = endsWith(commandLine, record.argv) || endsWith(record.argv, commandLine);
  return isOurs ? { kind: 'ours', pid: record.pid } : { kind: 'doubtful', pid: record.pid, commandLine: commandLine.join(' ') };
}

function endsWith(whole: readonly string[], end: readonly string[]): boolean {
  const offset = whole.length - end.length;
  return end.length > 0 && offset >= 0 && end.every((word, index) => whole[offset + index] === word);
}

function parseRecord(text: string | undefined): PidRecord | undefined {
  try {
    const record = JSON.parse(text ?? '') as Partial<PidRecord>;
    const { pid, startTicks, bootId, argv } = record;
    const isWhole = Number.isSafeInteger(pid) && typeof startTicks === 'string' && typeof bootId === 'string' && Array.isArray(argv);
    return isWhole ? (record as PidRecord) : undefined;
  } catch {
    return undefined;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

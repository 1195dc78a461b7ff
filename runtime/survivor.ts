import { UserError } from '../api/errors.ts';
import { waitFor } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { findSurvivor, removePidFile } from './pid-file.ts';

export interface SurvivorOptions {
  pidFile: string;
  /** For logs and errors. */
  name: string;
  stopSignal: NodeJS.Signals;
  /** Then it is killed. */
  stopTimeoutMs: number;
  logger: Logger;
  clock: Clock;
  signal: AbortSignal;
}

/** How long a killed process may take to disappear. */
const killTimeoutMs = 5_000;

/**
 * Ends the child that an earlier run of ours left behind, if it still lives, and removes the pid file. Throws UserError, and touches nothing,
 * when the process might be somebody else's.
 */
export async function endSurvivor(options: SurvivorOptions): Promise<void> {
  const { pidFile, name, logger } = options;
  const survivor = await findSurvivor(pidFile);
  if (survivor.kind === 'doubtful') {
    const what = `process ${survivor.pid} (${survivor.commandLine}) runs where ${name} of an earlier start is expected`;
    throw new UserError('ALREADY_RUNNING', what, `Stop it, or remove ${pidFile}, and start again.`);
  }
  if (survivor.kind === 'ours') {
    logger.warn('ending the child that an earlier run left behind', { pid: survivor.pid });
    const isGone = (await endBy(options.stopSignal, options.stopTimeoutMs, options)) || (await endBy('SIGKILL', killTimeoutMs, options));
    if (!isGone) throw new Error(`${name} of an earlier start (process ${survivor.pid}) does not end, not even when killed`);
  }
  await removePidFile(pidFile);
}

/** Looks before every signal: in between the number may have gone to a stranger. */
async function endBy(killSignal: NodeJS.Signals, timeoutMs: number, { pidFile, clock, signal }: SurvivorOptions): Promise<boolean> {
  const survivor = await findSurvivor(pidFile);
  if (survivor.kind !== 'ours') return true;
  killQuietly(survivor.pid, killSignal);
  for (const deadline = clock.monotonicMs() + timeoutMs; clock.monotonicMs() < deadline;) {
    if (!(await waitFor(clock, 50, signal))) signal.throwIfAborted();
    if ((await findSurvivor(pidFile)).kind !== 'ours') return true;
  }
  return false;
}

/** A negative number means a process group. */
export function killQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

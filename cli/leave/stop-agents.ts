import { UserError } from '../../api/errors.ts';
import { killQuietly } from '../../runtime/survivor.ts';
import { removeUnit } from '../join/systemd-unit.ts';
import { TooLateError, untilTrue } from '../until-true.ts';
import { agentRuns, findRunning } from '../up/lock.ts';
import type { PoolPaths } from '../up/pool-paths.ts';

const stopTimeoutMs = 60_000;

/** Ends the agent of this home, whatever runs it: a service, `potluck join`, or a person. The service does not come back. */
export async function stopAgents(paths: PoolPaths, signal: AbortSignal): Promise<void> {
  await removeUnit(paths.home);
  for (const name of ['join', 'agent'] as const) {
    const pid = await findRunning(paths, name);
    if (pid === undefined) continue;
    killQuietly(pid, 'SIGTERM');
    const isGone = async (): Promise<boolean> => (await findRunning(paths, name)) !== pid;
    await untilTrue(isGone, { what: `process ${pid} to end`, timeoutMs: stopTimeoutMs, intervalMs: 100, signal }).catch(
      (error: unknown) => {
        if (!(error instanceof TooLateError)) throw error;
        const remedy = `Look at ${paths.logs}, or kill it (kill -9 ${pid}), and run potluck leave again`;
        throw new UserError('LEAVE_UNFINISHED', `process ${pid}, the agent, did not end in ${stopTimeoutMs / 1000} s`, remedy);
      },
    );
  }
  if (await agentRuns(paths)) {
    throw new UserError(
      'LEAVE_UNFINISHED',
      `an agent that nobody can find runs with ${paths.home}`,
      'Stop it, and run potluck leave again',
    );
  }
}

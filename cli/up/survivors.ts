import { join } from 'node:path';
import { systemClock } from '../../runtime/clock.ts';
import { findSurvivor } from '../../runtime/pid-file.ts';
import type { Logger } from '../../runtime/logger.ts';
import { endSurvivor } from '../../runtime/survivor.ts';
import type { PoolPaths } from './pool-paths.ts';

/** In the order in which they are ended. */
const children = ['agent', 'jump-host', 'gateway', 'server', 'etcd'];
const stopTimeoutMs = 20_000;

/** Ends what a `potluck up` that was killed left running. Answers the names of what it ended. */
export async function endSurvivors(paths: PoolPaths, logger: Logger, signal: AbortSignal): Promise<string[]> {
  const ended = [];
  for (const name of children) {
    const pidFile = join(paths.run, `${name}.pid`);
    if ((await findSurvivor(pidFile)).kind === 'ours') ended.push(name);
    await endSurvivor({ pidFile, name, stopSignal: 'SIGTERM', stopTimeoutMs, logger, clock: systemClock, signal });
  }
  return ended;
}

import { existsSync } from 'node:fs';
import { purgePoolEngine, stopPoolEngine } from '../node-agent/engine/pool-engine.ts';
import { agentFolder } from '../node-agent/identity/agent-folder.ts';
import { readEnrolment } from '../node-agent/identity/enrolment.ts';
import { stopInstances } from '../node-agent/stop-instances.ts';
import { UserError } from '../api/errors.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { killQuietly } from '../runtime/survivor.ts';
import { defineCommand } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseEngine } from './engine-flag.ts';
import { TooLateError, untilTrue } from './until-true.ts';
import { removeContainers } from './up/engine-containers.ts';
import { findRunning, lockPool } from './up/lock.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';
import { createProgress, type Progress } from './up/progress.ts';
import { removeHome } from './up/remove-home.ts';
import { endSurvivors } from './up/survivors.ts';

/** `potluck up` stops its parts one after the other, each within its own bound. */
const upStopTimeoutMs = 120_000;

export const downCommand = defineCommand({
  name: 'down',
  summary: 'stops the pool on this machine; with --purge, removes every trace of it',
  details:
    'Without --purge, instances stop and state and disks stay: the next start goes on from there. With it, containers, images, the engine, its network,\n' +
    'mounts, certificates and all objects are removed. Safe to repeat.',
  flags: { home: homeFlag, purge: { type: 'boolean', description: 'removes containers, images, network, mounts and files' } },
  run: async (values) => {
    const paths = poolPaths(resolveHome(values.home));
    const progress = createProgress(process.stdout);
    await stopUp(paths, progress);
    const lock = await lockPool(paths, { as: undefined });
    try {
      const removed = await takeDown(paths, values.purge, progress);
      if (values.purge) progress.note(removed.length === 0 ? `Nothing was left in ${paths.home}.` : `Removed: ${removed.join(', ')}.`);
      else progress.note('Stopped. State and disks are kept; npm start goes on from there.');
    } finally {
      await lock.release();
    }
    return 0;
  },
});

async function stopUp(paths: PoolPaths, progress: Progress): Promise<void> {
  const pid = await findRunning(paths, 'up');
  if (pid === undefined) return;
  await progress.step(`potluck up (process ${pid}) stopped`, async () => {
    killQuietly(pid, 'SIGTERM');
    const isGone = async (): Promise<boolean> => (await findRunning(paths, 'up')) !== pid;
    const { signal } = new AbortController();
    await untilTrue(isGone, { what: 'potluck up to end', timeoutMs: upStopTimeoutMs, intervalMs: 100, signal }).catch((error: unknown) => {
      if (!(error instanceof TooLateError)) throw error;
      const what = `potluck up (process ${pid}) did not end in ${upStopTimeoutMs / 1000} s`;
      throw new UserError('ALREADY_RUNNING', what, `Look at what it prints, or kill it (kill -9 ${pid}), and run potluck down again`);
    });
  });
}

/** What remains when no `potluck up` runs (any more). Answers what was removed. */
async function takeDown(paths: PoolPaths, purge: boolean, progress: Progress): Promise<string[]> {
  const logger = createLogger({ component: 'down', level: 'warn', format: 'text' });
  const { signal } = new AbortController();
  const ended = await endSurvivors(paths, logger, signal);
  if (ended.length > 0) progress.note(`✓ ended what an earlier potluck up left running: ${ended.join(', ')}`);
  const containers = await endContainers(paths, purge, progress, logger);
  await endEngine(paths, purge, logger);
  if (!purge) return [];
  return [...containers, ...(await removeHome(paths))];
}

async function endContainers(paths: PoolPaths, purge: boolean, progress: Progress, logger: Logger): Promise<string[]> {
  const enrolment = await readEnrolment(agentFolder(paths.home));
  if (enrolment === undefined) return [];
  const engine = parseEngine(enrolment.engine);
  const socketPath = engine === 'pool' ? paths.engineSocket : engine.socketPath;
  const { providerUid } = enrolment;
  if (purge) {
    const removed = await removeContainers(socketPath, providerUid);
    return removed > 0 ? [`${removed} containers`] : [];
  }
  const stopped = await stopInstances({ home: paths.home, socketPath, providerUid, logger });
  if (stopped > 0) progress.note(`✓ ${stopped} instances stopped`);
  return [];
}

async function endEngine(paths: PoolPaths, purge: boolean, logger: Logger): Promise<void> {
  if (!existsSync(paths.engine)) return;
  await (purge ? purgePoolEngine : stopPoolEngine)(paths.home, logger);
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { createDockerEngine } from '../node-agent/engine/docker-engine.ts';
import { purgePoolEngine } from '../node-agent/engine/pool-engine.ts';
import { agentFolder } from '../node-agent/identity/agent-folder.ts';
import { readEnrolment, writeEnrolment, type Enrolment } from '../node-agent/identity/enrolment.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess } from '../runtime/process.ts';
import { abortable } from './abortable.ts';
import { defineCommand } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseDuration } from './command-line/parse-duration.ts';
import { engineSocketOf } from './join/engine-socket.ts';
import { prepareAgent } from './join/start-provider.ts';
import { stopAgents } from './leave/stop-agents.ts';
import { talkToPool, UnknownToPoolError, type PoolTalk } from './leave/tell-pool.ts';
import { TooLateError, untilTrue } from './until-true.ts';
import { removeContainers } from './up/engine-containers.ts';
import { agentRuns, lockPool, type Lock } from './up/lock.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';
import { createProgress, type Progress } from './up/progress.ts';
import { removeHome } from './up/remove-home.ts';

/** In this order. A kubeconfig in the same place is a person's. */
const madeByJoining = ['engine', 'images', 'run', 'logs', 'agent', 'toolbox'];
const longestWaitMs = 7 * 24 * 3_600_000;
const stopTimeoutMs = 60_000;

export const leaveCommand = defineCommand({
  name: 'leave',
  summary: 'takes this machine out of the pool and removes every trace of it here',
  details:
    'Waits until what runs here has left: the pool gives instances the time that the Provider grants them, then places them elsewhere. Then the agent,\n' +
    'the engine with its images and disks, the Provider and all files are removed. Safe to repeat, and to go on with after it was interrupted.',
  flags: {
    now: { type: 'boolean', description: 'gives instances no time to leave' },
    force: { type: 'boolean', description: 'goes on where the pool cannot be reached; the Provider then remains in it' },
    timeout: { type: 'string', value: 'DURATION', default: '10m', description: 'how long to wait for instances to leave' },
    home: homeFlag,
  },
  run: (values) => {
    const timeoutMs = parseDuration('timeout', values.timeout, longestWaitMs);
    const paths = poolPaths(resolveHome(values.home));
    const progress = createProgress(process.stdout);
    const logger = createLogger({ component: 'leave', level: 'warn', format: 'text' });
    const start = async (signal: AbortSignal): Promise<{ stop: () => Promise<void>; done: Promise<void> }> => {
      await leave({ paths, progress, logger, signal, timeoutMs, now: values.now, force: values.force });
      return { stop: () => Promise.resolve(), done: Promise.resolve() };
    };
    runProcess({ name: 'potluck leave', logger, stopTimeoutMs, start: ({ signal }) => start(signal) });
    return Promise.resolve(undefined);
  },
});

interface LeaveContext {
  paths: PoolPaths;
  progress: Progress;
  logger: Logger;
  signal: AbortSignal;
  timeoutMs: number;
  now: boolean;
  force: boolean;
}

async function leave(context: LeaveContext): Promise<void> {
  const { paths, signal } = context;
  const enrolment = await readEnrolment(agentFolder(paths.home));
  requireOtherPool(paths, enrolment);
  if (enrolment === undefined) {
    requireNothingBegun(context);
    await removeEverything(undefined, context);
    return;
  }
  const pool = talkToPool(paths.home, enrolment, signal);
  try {
    const answers = enrolment.leaving === 'drained' ? 'known' : await drain(enrolment, pool, context);
    await stopAgents(paths, signal);
    const drained: Enrolment = { ...enrolment, leaving: 'drained' };
    await writeEnrolment(agentFolder(paths.home), drained);
    await removeEverything({ enrolment: drained, pool, answers }, context);
  } finally {
    pool.close();
  }
}

function requireOtherPool(paths: PoolPaths, enrolment: Enrolment | undefined): void {
  if (enrolment?.by !== 'up' && !existsSync(join(paths.pki, 'ca.key'))) return;
  const remedy = 'potluck down --purge removes the pool with everything in it';
  throw new UserError('NOT_JOINED', 'the pool of this home runs on this machine itself, which cannot leave it', remedy);
}

function requireNothingBegun({ paths, force }: LeaveContext): void {
  if (force || !existsSync(paths.agentKubeconfig)) return;
  const remedy = 'Run the command by which it joined again, and then this; or, with --force, have an admin delete its Provider';
  throw new UserError('NOT_JOINED', `this machine joined a pool, and what it is called there is missing in ${paths.agent}`, remedy);
}

async function drain(enrolment: Enrolment, pool: PoolTalk, context: LeaveContext): Promise<PoolAnswer> {
  const { paths, progress, force, now } = context;
  await writeEnrolment(agentFolder(paths.home), { ...enrolment, leaving: 'draining' });
  try {
    await progress.step('the pool knows that this machine leaves', () => pool.announce(!now));
    await withAgent(enrolment, context, () => untilEmpty(enrolment, pool, context));
    return 'known';
  } catch (error) {
    if (error instanceof UnknownToPoolError) {
      progress.note('  The pool does not know this machine any more: its Provider was deleted or revoked.');
      return 'unknown';
    }
    if (!force || !(error instanceof UserError) || error.code !== unreachableCode) throw error;
    progress.note(`  ${error.message}.`);
    return 'unreachable';
  }
}

const unreachableCode = new UserError('API_UNREACHABLE', '', '').code;

/** Containers are removed by an agent; where none runs, one runs meanwhile. */
async function withAgent(enrolment: Enrolment, context: LeaveContext, run: () => Promise<void>): Promise<void> {
  const { paths, progress, logger, signal } = context;
  if (await agentRuns(paths)) {
    await run();
    return;
  }
  const lock = await lockPool(paths, { as: undefined });
  const agent = prepareAgent(paths, enrolment, logger);
  try {
    await progress.step('agent and container engine', () => abortable(agent.start(), signal));
    await run();
  } finally {
    await agent.stop();
    await lock.release();
  }
}

async function untilEmpty({ providerUid, engine: name }: Enrolment, pool: PoolTalk, context: LeaveContext): Promise<void> {
  const { paths, progress, signal, timeoutMs } = context;
  const engine = createDockerEngine(engineSocketOf(paths, { engine: name }));
  let left = 'nobody knows what';
  let unknown: UnknownToPoolError | undefined;
  const look = async (report: (where: string) => void): Promise<boolean> => {
    const names = await pool.assigned();
    const containers = await engine.listContainers(providerUid);
    left = names.length > 0 ? `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}` : 'containers';
    report(`still here: ${left}`);
    return names.length === 0 && containers.length === 0;
  };
  await progress.step('every instance has left', async (report) => {
    const isEmpty = async (): Promise<boolean> => {
      try {
        return await look(report);
      } catch (error) {
        if (!(error instanceof UnknownToPoolError)) throw error;
        // Nobody will ever say that it is empty.
        unknown = error;
        return true;
      }
    };
    await untilTrue(isEmpty, { what: 'instances to leave', timeoutMs, intervalMs: 500, signal }).catch((error: unknown) => {
      if (!(error instanceof TooLateError)) throw error;
      const remedy = 'Run potluck leave again to wait on, or with --now to wait for no grace';
      throw new UserError('LEAVE_UNFINISHED', `still here after ${timeoutMs / 1000} s: ${left}`, remedy, { cause: error });
    });
  });
  if (unknown !== undefined) throw unknown;
}

interface Leaving {
  enrolment: Enrolment;
  pool: PoolTalk;
  answers: PoolAnswer;
}

/** Whether the pool knows the machine, or cannot be asked although that is to be no reason to stop. */
type PoolAnswer = 'known' | 'unknown' | 'unreachable';

/** The Provider goes when nothing of it is here any more; the file that says where we are goes last. */
async function removeEverything(leaving: Leaving | undefined, context: LeaveContext): Promise<void> {
  const { paths, progress, logger } = context;
  const lock: Lock = await lockPool(paths, { as: undefined });
  try {
    await progress.step('containers, engine, network and mounts removed', async () => {
      if (leaving !== undefined) await removeContainers(engineSocketOf(paths, leaving.enrolment), leaving.enrolment.providerUid);
      if (existsSync(paths.engine)) await purgePoolEngine(paths.home, logger);
    });
    const remains = leaving === undefined ? undefined : await removeProvider(leaving, context);
    const removed = await removeHome(paths, madeByJoining);
    progress.note(removed.length === 0 ? `Nothing was left in ${paths.home}.` : `Removed: ${removed.join(', ')}.`);
    if (remains !== undefined)
      progress.note(`The Provider ${remains} remains in the pool: have an admin run kubectl delete provider ${remains}.`);
  } finally {
    await lock.release();
  }
}

/** Answers the name of the Provider if it stays. */
async function removeProvider({ enrolment, pool, answers }: Leaving, { progress, force }: LeaveContext): Promise<string | undefined> {
  const { providerName } = enrolment;
  if (answers !== 'known') return answers === 'unreachable' ? providerName : undefined;
  try {
    await progress.step(`provider ${providerName} removed from the pool`, () => pool.removeProvider());
    return undefined;
  } catch (error) {
    if (!force) throw error;
    progress.note(`  ${(error as Error).message}`);
    return providerName;
  }
}

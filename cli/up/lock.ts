/** One `potluck up` or `join` for one home, and one agent: found by pid files, kept alone by locks that the kernel takes back when a process ends. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import { findSurvivor, removePidFile, writePidFile } from '../../runtime/pid-file.ts';
import type { PoolPaths } from './pool-paths.ts';

export interface Lock {
  release(): Promise<void>;
}

/** What looks after the parts of a home until it is stopped. */
export type Keeper = 'up' | 'join';

function pidFileOf(paths: PoolPaths, name: Keeper | 'agent'): string {
  return join(paths.run, `${name}.pid`);
}

/** The pid of the `potluck up` (or `join`, or agent) that runs for this home, if one does. */
export async function findRunning(paths: PoolPaths, name: Keeper | 'agent'): Promise<number | undefined> {
  const survivor = await findSurvivor(pidFileOf(paths, name));
  return survivor.kind === 'ours' ? survivor.pid : undefined;
}

/** Throws `ALREADY_RUNNING` when another process holds it. What runs on is found by others through its pid file. */
export async function lockPool(paths: PoolPaths, options: { as: Keeper | undefined }): Promise<Lock> {
  const release = await hold(lockName(paths, 'potluck'));
  if (release === undefined) throw await alreadyRunning(paths);
  return withPidFile(paths, options.as, release);
}

/** Held by every agent. Throws `ALREADY_RUNNING` when another one runs for this home: two would fight over each container. */
export async function lockAgent(paths: PoolPaths): Promise<Lock> {
  const release = await hold(lockName(paths, 'potluck-agent'));
  if (release !== undefined) return withPidFile(paths, 'agent', release);
  const pid = await findRunning(paths, 'agent');
  const who = pid === undefined ? 'another agent' : `another agent (process ${pid})`;
  throw new UserError('ALREADY_RUNNING', `${who} runs already with ${paths.home}`, 'Leave it running, or stop it first');
}

/** Whether an agent runs for this home, whoever started it. */
export async function agentRuns(paths: PoolPaths): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lockName(paths, 'potluck-agent'));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** In Linux's abstract namespace: no file that could be left behind. */
function lockName({ home }: PoolPaths, prefix: string): string {
  return `\0${prefix}-${createHash('sha256').update(home).digest('hex')}`;
}

/** Undefined when another process holds it. */
async function hold(name: string): Promise<(() => Promise<void>) | undefined> {
  // Whoever asks whether it is held connects, and is told by that.
  const server = createServer((socket) => socket.destroy());
  const isHeld = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(name, () => resolve(true));
  });
  if (!isHeld) return undefined;
  server.unref();
  return async () => {
    await new Promise((resolve) => server.close(resolve));
  };
}

async function withPidFile(paths: PoolPaths, name: Keeper | 'agent' | undefined, release: () => Promise<void>): Promise<Lock> {
  if (name === undefined) return { release };
  await writePidFile(pidFileOf(paths, name), process.pid, await ownCommandLine());
  return {
    release: async () => {
      await removePidFile(pidFileOf(paths, name));
      await release();
    },
  };
}

async function alreadyRunning(paths: PoolPaths): Promise<UserError> {
  const up = await findRunning(paths, 'up');
  const joined = await findRunning(paths, 'join');
  if (joined !== undefined && up === undefined) {
    const remedy = 'Leave it running, stop it with Ctrl-C, or choose another --home';
    return new UserError('ALREADY_RUNNING', `potluck join (process ${joined}) runs already with ${paths.home}`, remedy);
  }
  const who = up === undefined ? 'another potluck command' : `a pool (process ${up})`;
  return new UserError(
    'ALREADY_RUNNING',
    `${who} runs already with ${paths.home}`,
    'Use it, stop it with potluck down, or choose another --home',
  );
}

async function ownCommandLine(): Promise<string[]> {
  return (await readFile('/proc/self/cmdline', 'utf8')).replace(/\0+$/, '').split('\0');
}

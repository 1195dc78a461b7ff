/** One `potluck up` for one home: found by its pid file, and kept alone by a lock that the kernel takes back when the process ends. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import { findSurvivor, removePidFile, writePidFile } from '../../runtime/pid-file.ts';
import type { PoolPaths } from './pool-paths.ts';

export interface Lock {
  release(): Promise<void>;
}

function pidFileOf(paths: PoolPaths): string {
  return join(paths.run, 'up.pid');
}

/** The pid of the `potluck up` that runs for this home, if one does. */
export async function findRunningUp(paths: PoolPaths): Promise<number | undefined> {
  const survivor = await findSurvivor(pidFileOf(paths));
  return survivor.kind === 'ours' ? survivor.pid : undefined;
}

/** Throws `ALREADY_RUNNING` when another process holds it. `potluck up` is found by others through its pid file. */
export async function lockPool(paths: PoolPaths, options: { writesPidFile: boolean }): Promise<Lock> {
  const server = createServer();
  // In Linux's abstract namespace: no file that could be left behind.
  const name = `\0potluck-${createHash('sha256').update(paths.home).digest('hex')}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new Error('held', { cause: error }) : error);
    });
    server.listen(name, resolve);
  }).catch(async (error: unknown) => {
    throw (error as Error).message === 'held' ? await alreadyRunning(paths) : error;
  });
  server.unref();
  if (options.writesPidFile) await writePidFile(pidFileOf(paths), process.pid, await ownCommandLine());
  return {
    release: async () => {
      if (options.writesPidFile) await removePidFile(pidFileOf(paths));
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function alreadyRunning(paths: PoolPaths): Promise<UserError> {
  const pid = await findRunningUp(paths);
  const who = pid === undefined ? 'another potluck up or down' : `a pool (process ${pid})`;
  return new UserError(
    'ALREADY_RUNNING',
    `${who} runs already with ${paths.home}`,
    'Use it, stop it with potluck down, or choose another --home',
  );
}

async function ownCommandLine(): Promise<string[]> {
  return (await readFile('/proc/self/cmdline', 'utf8')).replace(/\0$/, '').split('\0');
}

/**
 * Where the pool's engine keeps images and instances: a btrfs in a file, which bounds all instances together and lets the engine bound each
 * one; where that is not possible, a plain directory without either.
 */
import { mkdir, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../api/errors.ts';
import type { Logger } from '../../runtime/logger.ts';
import { readMounts } from './mount-table.ts';
import type { PoolPaths } from './pool-paths.ts';
import { runCommand, succeeds } from './run-command.ts';

export interface PoolStorage {
  dataRoot: string;
  storageDriver: 'btrfs' | 'overlay2';
}

/** Of what is free when the file is made. The file is sparse: it takes what is used of it. */
const shareOfFreeSpace = 0.8;
/** It takes milliseconds where nothing holds the file system. */
const detachTimeoutMs = 10_000;
/** btrfs does not work on less. */
const leastBytes = 128 * 1024 * 1024;

/** Safe to repeat. `sizeBytes` counts when the file is made, and is never more than what is free. */
export async function setUpStorage(paths: PoolPaths, sizeBytes: number | undefined, logger: Logger): Promise<PoolStorage> {
  if (await exists(paths.plainData)) return { dataRoot: paths.plainData, storageDriver: 'overlay2' };
  const isNew = !(await exists(paths.loopFile));
  try {
    if (isNew) await makeFile(paths, sizeBytes);
    await mountFile(paths);
    return { dataRoot: paths.loopMount, storageDriver: 'btrfs' };
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (!isNew) throw damaged(paths, error);
    await rm(paths.loopFile, { force: true });
    await mkdir(paths.plainData, { recursive: true, mode: 0o710 });
    logger.warn('disk limits of instances do not hold: this machine cannot mount a btrfs from a file', { error });
    return { dataRoot: paths.plainData, storageDriver: 'overlay2' };
  }
}

/** Unmounts everything below the engine's directory, the last one first; the loop device goes with it. */
export async function tearDownStorage(paths: PoolPaths, logger: Logger): Promise<void> {
  const below = (await readMounts()).filter(({ target }) => target.startsWith(`${paths.directory}/`) && target !== paths.namespace);
  for (const { target } of below.reverse()) {
    if (await succeeds('umount', [target])) continue;
    await runCommand('umount', ['--lazy', target]).catch((error: unknown) => logger.warn('could not be unmounted', { error }));
  }
  if (!(await isDetached(paths.loopFile))) logger.warn('a loop device is still in use', { file: paths.loopFile });
}

/** The kernel unmounts what a mount namespace had some time after the namespace is gone. */
async function isDetached(file: string): Promise<boolean> {
  const deadline = performance.now() + detachTimeoutMs;
  while ((await runCommand('losetup', ['--associated', file]).catch(() => '')) !== '') {
    if (performance.now() > deadline) return false;
    await delay(50);
  }
  return true;
}

async function makeFile(paths: PoolPaths, sizeBytes: number | undefined): Promise<void> {
  const { bavail, bsize } = await statfs(paths.directory);
  const most = Math.floor(bavail * bsize * shareOfFreeSpace);
  const size = Math.min(sizeBytes ?? most, most);
  if (size < leastBytes) {
    const what = `${paths.directory} has no room for instances (${Math.floor((bavail * bsize) / 1e6)} MB are free)`;
    throw new UserError('DISK_FULL', what, 'Free some space, or choose another directory with POTLUCK_HOME.');
  }
  const temporary = `${paths.loopFile}.new`;
  await rm(temporary, { force: true });
  await writeFile(temporary, '', { mode: 0o600 });
  await truncate(temporary, size);
  await runCommand('mkfs.btrfs', ['--quiet', temporary]);
  await runCommand('mv', [temporary, paths.loopFile]);
}

async function mountFile(paths: PoolPaths): Promise<void> {
  if ((await readMounts()).some(({ target }) => target === paths.loopMount)) return;
  await mkdir(paths.loopMount, { recursive: true, mode: 0o710 });
  await runCommand('mount', ['-t', 'btrfs', '-o', 'loop', paths.loopFile, paths.loopMount]);
}

function damaged(paths: PoolPaths, cause: unknown): UserError {
  const what = `${paths.loopFile}, where instances have their disks, cannot be mounted`;
  const remedy = `Look at it with \`btrfs check ${join(paths.loopFile)}\`, or remove it with everything in it by \`potluck down --purge\`.`;
  return new UserError('STATE_DAMAGED', what, remedy, { cause });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

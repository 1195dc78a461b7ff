/** Where the pool's instances have their disks, and whose users they are: storage and the mount namespace together. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';
import { findIdRange, readIdRange, setUpMounts, tearDownMounts, writeIdRange } from './pool-mounts.ts';
import type { PoolPaths } from './pool-paths.ts';
import { poolProcesses } from './pool-processes.ts';
import { setUpStorage, tearDownStorage } from './pool-storage.ts';
import type { PoolStorage } from './pool-storage.ts';

export interface PoolData {
  storage: PoolStorage;
  /** Whether root in an instance is nobody on the machine; the daemons then run in the pool's mount namespace. */
  remapped: boolean;
}

const stopTimeoutMs = 30_000;

/**
 * Safe to repeat. A pool that was made before instances had user ids of their own keeps its disks as they are while there are any: who owns
 * the files in them cannot change while somebody may use them. Without disks it begins anew, and images are fetched again.
 */
export async function setUpData(paths: PoolPaths, diskBytes: number | undefined, logger: Logger): Promise<PoolData> {
  const present = await readIdRange(paths);
  const isOld = present === undefined && ((await exists(paths.loopFile)) || (await exists(paths.plainData)));
  const storage = await setUpStorage(paths, diskBytes, logger);
  if (isOld && (await hasContainers(storage))) {
    logger.warn('root in an instance is root on this machine, until all instances that were made before this version are deleted');
    return { storage, remapped: false };
  }
  try {
    const range = present ?? (await findIdRange(paths));
    if (isOld) await discard(paths, logger);
    const fresh = isOld ? await setUpStorage(paths, diskBytes, logger) : storage;
    if (present === undefined) await writeIdRange(paths, range);
    await setUpMounts(paths, fresh.dataRoot);
    return { storage: fresh, remapped: true };
  } catch (error) {
    // Disks that belong to other users cannot be had without them.
    if (present !== undefined) throw error;
    logger.warn('root in an instance is root on this machine: it cannot give instances user ids of their own', { error });
    await tearDownMounts(paths);
    await rm(paths.idFile, { force: true });
    return { storage: await setUpStorage(paths, diskBytes, logger), remapped: false };
  }
}

async function hasContainers({ dataRoot }: PoolStorage): Promise<boolean> {
  return (await readdir(join(dataRoot, 'containers')).catch(() => [])).length > 0;
}

async function discard(paths: PoolPaths, logger: Logger): Promise<void> {
  const { containerd, dockerd } = poolProcesses(paths);
  await dockerd.stop(stopTimeoutMs);
  await containerd.stop(stopTimeoutMs);
  await tearDownStorage(paths, logger);
  for (const path of [paths.loopFile, paths.plainData, paths.config('containerd')]) await rm(path, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

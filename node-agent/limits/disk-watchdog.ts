/**
 * What is done about disks that no quota holds: of one instance by what it wrote, of all by what is left to the machine's owner. Pure.
 */

export interface WrittenToDisk {
  bytes: number;
  inodes: number;
}

export interface DiskBounds {
  /** 0 for none. */
  bytes: number;
  inodes: number;
}

/** From nothing to the worst. */
export type DiskOrder = { act: 'warn' | 'pause' | 'stop'; message: string };

const warnFraction = 0.8;
const stopFraction = 1.1;

/** A file for each 16 KiB, as ext4 makes its inodes; small disks have some more. */
export function inodeBound(limitBytes: number): number {
  return Math.max(10_000, Math.floor(limitBytes / 16_384));
}

/** Undefined while the instance has room. */
export function judgeWritten(written: WrittenToDisk, bounds: DiskBounds): DiskOrder | undefined {
  const [bytes, inodes] = [share(written.bytes, bounds.bytes), share(written.inodes, bounds.inodes)];
  const most = Math.max(bytes, inodes);
  if (most < warnFraction) return undefined;
  const what =
    bytes >= inodes
      ? `${mebibytes(written.bytes)} of the ${mebibytes(bounds.bytes)} MiB that its disk may hold`
      : `${written.inodes} of the ${bounds.inodes} files that its disk may hold`;
  const said = `The instance has written ${what} (${Math.round(most * 100)} %)`;
  if (most < 1) return { act: 'warn', message: said };
  const remedy = 'its disk is kept; delete the instance, or make it anew with a larger disk';
  if (most < stopFraction) return { act: 'pause', message: `${said} and is paused: ${remedy}` };
  return { act: 'stop', message: `${said} and is stopped: ${remedy}` };
}

function share(used: number, bound: number): number {
  return bound === 0 ? 0 : used / bound;
}

export interface FileSystemRoom {
  path: string;
  sizeBytes: number;
  freeBytes: number;
  /** 0 where the file system makes them as they are needed. */
  inodes: number;
  freeInodes: number;
}

export interface FloorVerdict {
  /** Why nothing new starts; undefined while there is room. */
  closed: string | undefined;
  /** What of the running is to be stopped: those who wrote of late, or everything. */
  reach: 'none' | 'growing' | 'all';
  act: 'pause' | 'stop';
}

const gibibyte = 1024 ** 3;
const defaultFloor = { share: 0.05, mostBytes: 5 * gibibyte };
const inodeFloorShare = 0.05;
/** Below this part of the floor everything is paused, below the second everything is stopped. */
const pauseAllBelow = 0.8;
const stopAllBelow = 0.5;
/** Once it was below, it opens again only with this much above, so that the edge is not crossed again and again. */
const openAgainAt = 1.1;

/** Bytes that are the owner's: as the policy says, or 5 % of the disk and at most 5 GiB. */
export function floorBytes(sizeBytes: number, freeDisk: { bytes: number } | { share: number } | undefined): number {
  if (freeDisk === undefined) return Math.min(sizeBytes * defaultFloor.share, defaultFloor.mostBytes);
  return 'bytes' in freeDisk ? freeDisk.bytes : sizeBytes * freeDisk.share;
}

/** Of the file system that has the least left, against its floor. */
export function judgeFloor(
  rooms: readonly FileSystemRoom[],
  freeDisk: { bytes: number } | { share: number } | undefined,
  wasClosed: boolean,
): FloorVerdict {
  const judged = rooms.map((room) => {
    const floor = floorBytes(room.sizeBytes, freeDisk);
    const bytes = floor === 0 ? Infinity : room.freeBytes / floor;
    const inodes = room.inodes === 0 ? Infinity : room.freeInodes / (room.inodes * inodeFloorShare);
    return { room, floor, part: Math.min(bytes, inodes), byInodes: inodes < bytes };
  });
  const worst = judged.sort((a, b) => a.part - b.part)[0];
  if (worst === undefined || worst.part >= (wasClosed ? openAgainAt : 1)) return { closed: undefined, reach: 'none', act: 'pause' };
  const { room, floor, part, byInodes } = worst;
  const left = byInodes ? `${room.freeInodes} files are` : `${mebibytes(room.freeBytes)} MiB is`;
  const kept = byInodes ? `${Math.ceil(room.inodes * inodeFloorShare)} files` : `${mebibytes(floor)} MiB`;
  const closed = `The machine's disk is nearly full: ${left} left, and its owner keeps ${kept}`;
  if (part < stopAllBelow) return { closed, reach: 'all', act: 'stop' };
  return { closed, reach: part < pauseAllBelow ? 'all' : 'growing', act: 'pause' };
}

/**
 * When a disk is looked at again, after a look that took `tookMs`: at most a twentieth of the time is spent on looking, a tenth near the limit,
 * and a disk that nothing can have changed waits longest.
 */
export function nextLookMs(tookMs: number, state: { running: boolean; nearLimit: boolean }): number {
  if (!state.running) return 60_000;
  const [leastMs, factor] = state.nearLimit ? [1_000, 10] : [2_000, 20];
  return Math.min(60_000, Math.max(leastMs, tookMs * factor));
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2);
}

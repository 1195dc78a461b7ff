/** Watches disks that no quota holds, and the machine's own: measures as often as that is cheap, and says what is to be done. */
import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../runtime/logger.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import { inodeBound, judgeFloor, judgeWritten, nextLookMs } from './disk-watchdog.ts';
import type { DiskBounds, DiskOrder, FileSystemRoom, FloorVerdict, WrittenToDisk } from './disk-watchdog.ts';
import { walkDisk } from './disk-walk.ts';

/** A container with what its disk may hold. */
export interface WatchedContainer {
  container: ObservedContainer;
  instanceUid: string;
  /** 0 for none. */
  limitBytes: number;
}

export interface DiskWatchOptions {
  containers: () => readonly WatchedContainer[];
  /** Whether the engine's own quota holds the layers of containers. */
  layersHaveQuota: () => boolean;
  /** Directories whose file systems are to keep room: the engine's data, and what they are a file of. */
  paths: () => readonly string[];
  /** Of the owner's policy. */
  freeDisk: () => { bytes: number } | { share: number } | undefined;
  /** Another order counts for these instances; for all when undefined. */
  onChange(instanceUid: string | undefined): void;
  logger: Logger;
}

interface Look {
  written: WrittenToDisk;
  order: DiskOrder | undefined;
  /** Wrote something since the look before. */
  grew: boolean;
  running: boolean;
  dueAtMs: number;
}

const tickMs = 1_000;
/** The walk goes this far beyond what would stop the instance. */
const overshoot = 1.2;
const noticeableBytes = 1024 * 1024;
/** The file system lost so much within a tick: whoever is due soon is looked at now. */
const hurryBytes = 32 * 1024 * 1024;
const hurryAheadMs = 5_000;
const open: FloorVerdict = { closed: undefined, reach: 'none', act: 'pause' };

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #looks = new Map<string, Look>();
  readonly #stopping = new AbortController();
  readonly #paused = new Set<string>();
  #floor = open;
  #freeBytes = 0;
  #running: Promise<void> | undefined;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Why nothing new starts on this machine; undefined while there is room. */
  get closed(): string | undefined {
    return this.#floor.closed;
  }

  /** What is to be done about a container; undefined while nothing is. */
  orderOf(containerId: string): DiskOrder | undefined {
    const own = this.#looks.get(containerId)?.order;
    const { closed, act } = this.#floor;
    if (own?.act === 'stop' || closed === undefined || !this.#paused.has(containerId)) return own;
    return { act, message: `${closed}; instances that write are ${act === 'pause' ? 'paused' : 'stopped'} until there is room` };
  }

  /** What it wrote, by the latest look; undefined where nobody looks. */
  writtenBytes(containerId: string): number | undefined {
    return this.#looks.get(containerId)?.written.bytes;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (await delay(tickMs, true, { signal }).catch(() => false)) {
      try {
        await this.#tick(signal);
      } catch (error) {
        if (!signal.aborted) this.#options.logger.warn('disks cannot be watched', { error });
      }
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { containers } = this.#options;
    const watched = containers();
    const ids = new Set(watched.map(({ container }) => container.id));
    for (const id of this.#looks.keys()) if (!ids.has(id)) this.#looks.delete(id);
    const rooms = await this.#rooms();
    const freeBytes = Math.min(...rooms.map((room) => room.freeBytes), Infinity);
    const hurry = this.#freeBytes - freeBytes >= hurryBytes;
    this.#freeBytes = freeBytes;
    for (const one of watched) await this.#look(one, hurry, signal);
    this.#judgeFloor(rooms, watched);
  }

  async #look(watched: WatchedContainer, hurry: boolean, signal: AbortSignal): Promise<void> {
    const { container, instanceUid, limitBytes } = watched;
    const roots = this.#rootsOf(container);
    const before = this.#looks.get(container.id);
    const startedMs = performance.now();
    const running = container.state === 'running';
    if (roots.length === 0 || !isDue(before, { nowMs: startedMs, running, hurry })) return;
    const bounds = { bytes: limitBytes, inodes: limitBytes === 0 ? 0 : inodeBound(limitBytes) };
    const written = await walkDisk(roots, farthest(bounds), signal);
    const nearLimit = limitBytes > 0 && written.bytes > limitBytes / 2;
    const waitMs = nextLookMs(performance.now() - startedMs, { running, nearLimit });
    const grownBytes = written.bytes - (before?.written.bytes ?? written.bytes);
    const order = judgeWritten(written, bounds);
    const dueAtMs = performance.now() + waitMs;
    this.#looks.set(container.id, { written, order, grew: grownBytes >= noticeableBytes, running, dueAtMs });
    if (before?.order?.act !== order?.act || Math.abs(grownBytes) >= 16 * noticeableBytes) this.#options.onChange(instanceUid);
  }

  #rootsOf({ writes }: ObservedContainer): string[] {
    const { layer, volumes = [] } = writes ?? {};
    return layer === undefined || this.#options.layersHaveQuota() ? [...volumes] : [layer, ...volumes];
  }

  async #rooms(): Promise<FileSystemRoom[]> {
    const rooms = await Promise.all(
      [...new Set(this.#options.paths())].map(async (path) => {
        const { blocks, bavail, bsize, files, ffree } = await statfs(path);
        return { path, sizeBytes: blocks * bsize, freeBytes: bavail * bsize, inodes: files, freeInodes: ffree };
      }),
    );
    return rooms;
  }

  #judgeFloor(rooms: readonly FileSystemRoom[], watched: readonly WatchedContainer[]): void {
    const before = this.#floor;
    const wasPaused = this.#paused.size;
    this.#floor = judgeFloor(rooms, this.#options.freeDisk(), before.closed !== undefined);
    if (this.#floor.closed === undefined) this.#paused.clear();
    for (const { container } of watched) {
      // Who was paused stays so until there is room.
      if (this.#floor.reach === 'all' || (this.#floor.reach === 'growing' && this.#mayWrite(container.id))) this.#paused.add(container.id);
    }
    const isNews = before.act !== this.#floor.act || (before.closed === undefined) !== (this.#floor.closed === undefined);
    if (!isNews && wasPaused === this.#paused.size) return;
    if (this.#floor.closed !== undefined) this.#options.logger.warn(this.#floor.closed, { paused: this.#paused.size });
    this.#options.onChange(undefined);
  }

  /** Of whom it is not known, it may be so. */
  #mayWrite(containerId: string): boolean {
    return this.#looks.get(containerId)?.grew ?? true;
  }
}

/** How far a walk goes: beyond what stops the instance, nothing changes. */
function farthest({ bytes, inodes }: DiskBounds): WrittenToDisk {
  return bytes === 0 ? { bytes: Infinity, inodes: Infinity } : { bytes: bytes * overshoot, inodes: inodes * overshoot };
}

/** The first time, when it was started, when its time has come, or somewhat before when the disk fills quickly. */
function isDue(before: Look | undefined, { nowMs, running, hurry }: { nowMs: number; running: boolean; hurry: boolean }): boolean {
  if (before === undefined || (running && !before.running)) return true;
  return nowMs >= before.dueAtMs - (hurry && running ? hurryAheadMs : 0);
}

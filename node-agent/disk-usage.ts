/** What instances wrote to their disks, measured now and then. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from './engine/engine.ts';

export interface DiskUsage {
  /** Bytes; undefined when not measured yet. */
  of(containerId: string): number | undefined;
  stop(): Promise<void>;
}

export interface DiskUsageOptions {
  engine: Pick<Engine, 'diskUsage'>;
  containerIds: () => readonly string[];
  /** What the file system itself knows, by container id; undefined where it does not. */
  readAll: (containerIds: readonly string[]) => Promise<ReadonlyMap<string, number> | undefined>;
}

const roundIntervalMs = 60_000;
const firstRoundMs = 10_000;
/** Between two containers for which the engine walks files: one at a time, so that a slow disk is not kept busy. */
const pauseMs = 200;

export function startDiskUsage(options: DiskUsageOptions): DiskUsage {
  const measured = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = async (ms: number): Promise<boolean> => delay(ms, true, { signal }).catch(() => false);

  async function round(): Promise<void> {
    const ids = [...new Set(options.containerIds())];
    for (const id of measured.keys()) if (!ids.includes(id)) measured.delete(id);
    const known = ids.length === 0 ? undefined : await options.readAll(ids).catch(() => undefined);
    for (const [id, bytes] of known ?? []) measured.set(id, bytes);
    for (const id of ids) {
      if (known?.has(id) === true) continue;
      if (!(await pause(pauseMs))) return;
      const bytes = await options.engine.diskUsage(id).catch(() => undefined);
      if (bytes !== undefined) measured.set(id, bytes);
    }
  }

  async function run(): Promise<void> {
    for (let waitMs = firstRoundMs; await pause(waitMs); waitMs = roundIntervalMs) await round();
  }

  const running = run();
  return {
    of: (containerId) => measured.get(containerId),
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

/** What instances wrote to their disks, measured now and then: the engine walks files for it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from './engine/engine.ts';

export interface DiskUsage {
  /** Bytes; undefined when not measured yet. */
  of(containerId: string): number | undefined;
  stop(): Promise<void>;
}

export interface DiskUsageOptions {
  engine: Engine;
  containerIds: () => readonly string[];
}

/** Between two rounds, and between two containers of a round: one at a time, so that a slow disk is not kept busy. */
const roundIntervalMs = 60_000;
const firstRoundMs = 10_000;
const pauseMs = 200;

export function startDiskUsage(options: DiskUsageOptions): DiskUsage {
  const measured = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = async (ms: number): Promise<boolean> => delay(ms, true, { signal }).catch(() => false);

  async function round(): Promise<void> {
    const ids = new Set(options.containerIds());
    for (const id of measured.keys()) if (!ids.has(id)) measured.delete(id);
    for (const id of ids) {
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

/** Removes images that nothing uses when the engine's disk fills. Only on the pool's own engine: another has images that are none of our business. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../runtime/logger.ts';
import { engineErrorKind } from '../engine/engine.ts';
import type { Engine, ListedImage } from '../engine/engine.ts';
import { planCollection } from './plan-collection.ts';
import type { CollectableImage } from './plan-collection.ts';

export interface ImageCollectorOptions {
  engine: Pick<Engine, 'listImages' | 'removeImage'>;
  /** Of the engine's disk. */
  disk: () => Promise<{ sizeBytes: number; freeBytes: number }>;
  /** Ids of images that containers have, running or not, and that instances wait for. */
  usedIds: () => Iterable<string>;
  /** References that are being pulled. */
  pulling: () => readonly string[];
  onRemoved: (id: string) => Promise<void>;
  logger: Logger;
  /** A minute when absent. */
  intervalMs?: number;
  /** Milliseconds since the epoch. */
  nowMs: () => number;
}

const defaultIntervalMs = 60_000;

interface Seen {
  firstSeenAtMs: number;
  lastUsedAtMs: number;
}

export class ImageCollector {
  /** Bytes that were freed since the start. */
  freedBytes = 0;
  readonly #options: ImageCollectorOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #wake = new AbortController();

  constructor(options: ImageCollectorOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Somebody found the disk full. */
  lookSoon(): void {
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { intervalMs = defaultIntervalMs, logger } = this.#options;
    for (;;) {
      await delay(intervalMs, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => undefined);
      if (signal.aborted) return;
      this.#wake = new AbortController();
      await this.#round().catch((error: unknown) => logger.debug('images cannot be collected now', { error }));
    }
  }

  async #round(): Promise<void> {
    const { engine, disk, nowMs } = this.#options;
    const listed = await engine.listImages();
    const inUse = this.#inUse(listed);
    const images = this.#note(listed, inUse, nowMs());
    const plan = planCollection({ images, inUse, disk: await disk(), nowMs: nowMs() });
    if (plan.bytesToFree > 0) await this.#collect(plan.candidates, plan.bytesToFree);
  }

  #inUse(listed: readonly ListedImage[]): Set<string> {
    const pulling = new Set(this.#options.pulling());
    const beingPulled = listed.filter(({ tags, digests }) => [...tags, ...digests].some((name) => pulling.has(name)));
    return new Set([...this.#options.usedIds(), ...beingPulled.map(({ id }) => id)]);
  }

  #note(listed: readonly ListedImage[], inUse: ReadonlySet<string>, nowMs: number): CollectableImage[] {
    const ids = new Set(listed.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
    return listed.map(({ id, sizeBytes, digests }) => {
      const seen = this.#seen.get(id) ?? { firstSeenAtMs: nowMs, lastUsedAtMs: nowMs };
      if (inUse.has(id)) seen.lastUsedAtMs = nowMs;
      this.#seen.set(id, seen);
      return { id, sizeBytes, fromRegistry: digests.length > 0, ...seen };
    });
  }

  /** Until enough is free by the disk's own word: layers that images share are not freed with the first of them. */
  async #collect(candidates: readonly string[], bytesToFree: number): Promise<void> {
    const { engine, disk, onRemoved, logger } = this.#options;
    const { freeBytes: before } = await disk();
    let freed = 0;
    for (const id of candidates) {
      if (freed >= bytesToFree || this.#stopping.signal.aborted) break;
      try {
        await engine.removeImage(id);
      } catch (error) {
        // A container that is not ours uses it.
        if (engineErrorKind(error) !== 'conflict') throw error;
        continue;
      }
      await onRemoved(id);
      freed = (await disk()).freeBytes - before;
      logger.info('an unused image was removed, because the disk fills', { image: id });
    }
    this.freedBytes += Math.max(0, freed);
    if (freed < bytesToFree)
      logger.warn('the disk is nearly full, and no more images can be removed', { bytesMissing: bytesToFree - freed });
  }
}

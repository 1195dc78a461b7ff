/** Knows which images the engine has, and pulls those that are wanted: a few at a time, with progress, and again after failures. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../runtime/logger.ts';
import type { Engine, PullProgress } from './engine/engine.ts';
import type { ImageState } from './plan/world.ts';

export interface ImageStore {
  /** By reference. */
  readonly states: ReadonlyMap<string, ImageState>;
  /** Pulls that ended, since the start. */
  readonly pulls: Readonly<Record<'succeeded' | 'failed', number>>;
  /** Looks whether the engine has it. */
  check(reference: string): Promise<void>;
  /** Wants it; returns at once, `onChange` tells of what becomes of it. */
  pull(reference: string): void;
  /** The engine said that it does not have it after all. */
  forget(reference: string): void;
  /** Forgets the images for which `isWanted` answers false. */
  keepOnly(isWanted: (reference: string) => boolean): void;
  stop(): Promise<void>;
}

export interface ImageStoreOptions {
  engine: Engine;
  /** Called after the state of an image changed, for progress at most once a second. */
  onChange(reference: string): void;
  logger: Logger;
}

const pullsAtOnce = 2;
const progressIntervalMs = 1_000;
/** As kubelet: 10 s, 20 s, … 5 min. */
const retryBaseMs = 10_000;
const retryCapMs = 300_000;
/** A registry that sends nothing for this long is given up. */
const silenceTimeoutMs = 300_000;
/** Somebody may bring an image by hand while its pull waits for the next attempt. */
const lookIntervalMs = 2_000;

export function createImageStore(options: ImageStoreOptions): ImageStore {
  return new PullingImageStore(options);
}

class PullingImageStore implements ImageStore {
  readonly states = new Map<string, ImageState>();
  readonly pulls = { succeeded: 0, failed: 0 };
  readonly #options: ImageStoreOptions;
  readonly #queue: string[] = [];
  readonly #failures = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #active = new Set<Promise<void>>();
  readonly #looking: Promise<void>;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#looking = this.#lookForFailed();
  }

  async check(reference: string): Promise<void> {
    const info = await this.#options.engine.inspectImage(reference);
    if (this.states.get(reference)?.kind === 'pulling') return;
    this.#set(reference, info === undefined ? { kind: 'missing' } : { kind: 'present', info, pulled: false });
  }

  pull(reference: string): void {
    if (this.states.get(reference)?.kind === 'pulling' || this.#stopping.signal.aborted) return;
    this.#set(reference, { kind: 'pulling' });
    this.#queue.push(reference);
    this.#startPulls();
  }

  forget(reference: string): void {
    if (this.states.get(reference)?.kind !== 'pulling') this.states.delete(reference);
  }

  keepOnly(isWanted: (reference: string) => boolean): void {
    for (const reference of this.states.keys()) {
      if (isWanted(reference)) continue;
      this.forget(reference);
      this.#failures.delete(reference);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#active, this.#looking]);
  }

  #set(reference: string, state: ImageState): void {
    this.states.set(reference, state);
    this.#options.onChange(reference);
  }

  #startPulls(): void {
    while (this.#active.size < pullsAtOnce && !this.#stopping.signal.aborted) {
      const reference = this.#queue.shift();
      if (reference === undefined) return;
      const pull = this.#pull(reference).finally(() => {
        this.#active.delete(pull);
        this.#startPulls();
      });
      this.#active.add(pull);
    }
  }

  /** Never rejects. */
  async #pull(reference: string): Promise<void> {
    const { engine, logger } = this.#options;
    const silence = new SilenceTimer(silenceTimeoutMs);
    try {
      logger.info('pulling an image', { image: reference });
      const signal = AbortSignal.any([this.#stopping.signal, silence.signal]);
      const tell = this.#throttledProgress(reference);
      await engine.pullImage(
        reference,
        (progress) => {
          silence.restart();
          tell(progress);
        },
        signal,
      );
      const info = await engine.inspectImage(reference);
      if (info === undefined) throw new Error('the engine does not have it after the pull');
      this.#failures.delete(reference);
      this.pulls.succeeded += 1;
      this.#set(reference, { kind: 'present', info, pulled: true });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.pulls.failed += 1;
      const failures = this.#failures.get(reference) ?? 0;
      this.#failures.set(reference, failures + 1);
      const retryAtMs = Date.now() + Math.min(retryCapMs, retryBaseMs * 2 ** Math.min(failures, 10));
      const why = silence.signal.aborted
        ? 'the registry sent nothing for too long'
        : error instanceof Error
          ? error.message
          : String(error);
      logger.warn('an image cannot be pulled', { image: reference, error: why });
      this.#set(reference, { kind: 'failed', message: `${reference} cannot be pulled: ${why}`, retryAtMs });
    } finally {
      silence.stop();
    }
  }

  #throttledProgress(reference: string): (progress: PullProgress) => void {
    let toldMs = -Infinity;
    return (progress) => {
      const nowMs = performance.now();
      if (nowMs - toldMs < progressIntervalMs) return;
      toldMs = nowMs;
      this.#set(reference, { kind: 'pulling', progress: describe(progress) });
    };
  }

  async #lookForFailed(): Promise<void> {
    while (await delay(lookIntervalMs, true, { signal: this.#stopping.signal }).catch(() => false)) {
      for (const [reference, state] of this.states) {
        if (state.kind !== 'failed' && state.kind !== 'missing') continue;
        const info = await this.#options.engine.inspectImage(reference).catch(() => undefined);
        if (info !== undefined && this.states.get(reference) === state) this.#set(reference, { kind: 'present', info, pulled: false });
      }
    }
  }
}

/** Aborts its signal when it was not restarted for a while. */
class SilenceTimer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function describe({ downloadedBytes, totalBytes, layersDone, layers }: PullProgress): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return `${megabytes(downloadedBytes)} of ${megabytes(totalBytes)} MB, ${layersDone} of ${layers} layers done`;
}

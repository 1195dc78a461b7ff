/** Knows which images the engine has, and pulls those that are wanted: a few at a time, with progress, and again after failures. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../runtime/logger.ts';
import type { Engine, ImageInfo, PullProgress } from './engine/engine.ts';
import type { ImagePuller } from './images/image-puller.ts';
import type { ImageState, ImageWant } from './plan/world.ts';

export interface ImageStore {
  /** By key. */
  readonly states: ReadonlyMap<string, ImageState>;
  /** Pulls that ended, since the start. */
  readonly pulls: Readonly<Record<'succeeded' | 'failed', number>>;
  /** Looks whether the engine has it, for whoever wants it. */
  check(want: ImageWant): Promise<void>;
  /** Wants it; returns at once, `onChange` tells of what becomes of it. */
  pull(want: ImageWant): void;
  /** The engine said that it does not have it after all. */
  forget(key: string): void;
  /** Forgets the images for which `isWanted` answers false. */
  keepOnly(isWanted: (key: string) => boolean): void;
  /** References that are being pulled or wait for that. */
  pulling(): string[];
  stop(): Promise<void>;
}

export interface ImageStoreOptions {
  engine: Pick<Engine, 'inspectImage'>;
  puller: Pick<ImagePuller, 'pull' | 'isOpen'>;
  /** Called after the state of an image changed, for progress at most once a second. */
  onChange(key: string): void;
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
  readonly #wants = new Map<string, ImageWant>();
  readonly #queue: ImageWant[] = [];
  readonly #failures = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #active = new Set<Promise<void>>();
  readonly #looking: Promise<void>;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#looking = this.#lookForFailed();
  }

  async check(want: ImageWant): Promise<void> {
    this.#wants.set(want.key, want);
    const info = await this.#find(want);
    if (this.states.get(want.key)?.kind === 'pulling') return;
    this.#set(want.key, info === undefined ? { kind: 'missing' } : { kind: 'present', info, pulled: false });
  }

  pull(want: ImageWant): void {
    if (this.states.get(want.key)?.kind === 'pulling' || this.#stopping.signal.aborted) return;
    this.#wants.set(want.key, want);
    this.#set(want.key, { kind: 'pulling' });
    this.#queue.push(want);
    this.#startPulls();
  }

  forget(key: string): void {
    if (this.states.get(key)?.kind === 'pulling') return;
    this.states.delete(key);
    this.#wants.delete(key);
  }

  keepOnly(isWanted: (key: string) => boolean): void {
    for (const key of this.states.keys()) {
      if (isWanted(key)) continue;
      this.forget(key);
      this.#failures.delete(key);
    }
  }

  pulling(): string[] {
    return [...this.states].flatMap(([key, { kind }]) => (kind === 'pulling' ? (this.#wants.get(key)?.reference ?? []) : []));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#active, this.#looking]);
  }

  /** What somebody else's credentials opened is as good as absent: it must be asked for. */
  async #find({ reference }: ImageWant): Promise<ImageInfo | undefined> {
    const { engine, puller } = this.#options;
    const info = await engine.inspectImage(reference);
    return info !== undefined && puller.isOpen(info) ? info : undefined;
  }

  #set(key: string, state: ImageState): void {
    this.states.set(key, state);
    this.#options.onChange(key);
  }

  #startPulls(): void {
    while (this.#active.size < pullsAtOnce && !this.#stopping.signal.aborted) {
      const want = this.#queue.shift();
      if (want === undefined) return;
      const pull = this.#pull(want).finally(() => {
        this.#active.delete(pull);
        this.#startPulls();
      });
      this.#active.add(pull);
    }
  }

  /** Never rejects. */
  async #pull(want: ImageWant): Promise<void> {
    const { key, reference } = want;
    const { puller, logger } = this.#options;
    const silence = new SilenceTimer(silenceTimeoutMs);
    try {
      logger.info('pulling an image', { image: reference });
      const signal = AbortSignal.any([this.#stopping.signal, silence.signal]);
      const tell = this.#throttledProgress(key);
      const onProgress = (progress: PullProgress): void => {
        silence.restart();
        tell(progress);
      };
      const info = await puller.pull(want, { onProgress, signal });
      this.#failures.delete(key);
      this.pulls.succeeded += 1;
      this.#set(key, { kind: 'present', info, pulled: true });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.pulls.failed += 1;
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      const retryAtMs = Date.now() + Math.min(retryCapMs, retryBaseMs * 2 ** Math.min(failures, 10));
      const why = silence.signal.aborted
        ? 'the registry sent nothing for too long'
        : error instanceof Error
          ? error.message
          : String(error);
      logger.warn('an image cannot be pulled', { image: reference, error: why });
      this.#set(key, { kind: 'failed', message: `${reference} cannot be pulled: ${why}`, retryAtMs });
    } finally {
      silence.stop();
    }
  }

  #throttledProgress(key: string): (progress: PullProgress) => void {
    let toldMs = -Infinity;
    return (progress) => {
      const nowMs = performance.now();
      if (nowMs - toldMs < progressIntervalMs) return;
      toldMs = nowMs;
      this.#set(key, { kind: 'pulling', progress: describe(progress) });
    };
  }

  async #lookForFailed(): Promise<void> {
    while (await delay(lookIntervalMs, true, { signal: this.#stopping.signal }).catch(() => false)) {
      for (const [key, state] of this.states) {
        const want = this.#wants.get(key);
        if (want === undefined || (state.kind !== 'failed' && state.kind !== 'missing')) continue;
        const info = await this.#find(want).catch(() => undefined);
        if (info !== undefined && this.states.get(key) === state) this.#set(key, { kind: 'present', info, pulled: false });
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

/** One pull of one image: by the credentials that its instance may use, and no larger than there is room for, before, during and after. */
import type { Engine, ImageInfo, PullProgress } from '../engine/engine.ts';
import type { ImageWant } from '../plan/world.ts';
import type { GuardedImages } from './guarded-images.ts';
import type { RegistryCredentials } from './pull-credentials.ts';

/** What pulls may take now, in bytes. */
export interface ImageRoom {
  /** The largest image that the provider takes; undefined where it does not say. */
  mostBytes: number | undefined;
  /** Free on the engine's disk beyond the floor that stays free. */
  freeBytes: number;
}

export interface ImagePullerOptions {
  engine: Engine;
  guarded: GuardedImages;
  /** That may be for the image, the most specific first; none: it is pulled as anybody. Rejects with words for people. */
  credentials: (want: ImageWant) => Promise<readonly RegistryCredentials[]>;
  /** Bytes as they are transferred; undefined where the registry does not tell. */
  measure: (reference: string, credentials: RegistryCredentials | undefined, signal: AbortSignal) => Promise<number | undefined>;
  room: () => Promise<ImageRoom>;
  /** A pull failed because the disk is full. */
  onNoRoom: () => void;
}

export interface PullWatch {
  onProgress: (progress: PullProgress) => void;
  signal: AbortSignal;
}

/** How often it is looked whether there is still room. */
const roomIntervalMs = 1_000;
/** What registries and dockerd say to who may not have an image; some hide it behind "not found". */
const refusal = /unauthorized|denied|authentication required|no basic auth|forbidden|not found|manifest unknown/i;

export class ImagePuller {
  readonly #options: ImagePullerOptions;
  /** Ids that were found open while this process ran. */
  readonly #open = new Set<string>();
  /** Pulls by credentials that are under way: until they end, a new image may be theirs. */
  #guardedPulls = 0;

  constructor(options: ImagePullerOptions) {
    this.#options = options;
  }

  /** Whether whoever wants the image may have it without asking the registry. */
  isOpen(info: ImageInfo): boolean {
    if (this.#options.guarded.has(info)) return false;
    const mayBeTheirs = this.#guardedPulls > 0 && info.digests.length > 0 && !this.#open.has(info.id);
    if (!mayBeTheirs) this.#open.add(info.id);
    return !mayBeTheirs;
  }

  /** Rejects with words for people. */
  async pull(want: ImageWant, watch: PullWatch): Promise<ImageInfo> {
    const all = await this.#options.credentials(want);
    const tried = all.length === 0 ? [undefined] : all;
    let refused: unknown;
    if (all.length > 0) this.#guardedPulls += 1;
    try {
      for (const credentials of tried) {
        try {
          return await this.#pullAs(want.reference, credentials, watch);
        } catch (error) {
          if (!refusal.test(messageOf(error))) throw error;
          refused = error;
        }
      }
      throw refused;
    } finally {
      if (all.length > 0) this.#guardedPulls -= 1;
    }
  }

  async #pullAs(reference: string, credentials: RegistryCredentials | undefined, watch: PullWatch): Promise<ImageInfo> {
    const { engine, measure, room } = this.#options;
    const before = await engine.inspectImage(reference);
    const bounds = await room();
    // What is there already is only asked for, not fetched.
    const size = before === undefined ? await measure(reference, credentials, watch.signal) : undefined;
    this.#check(size, bounds, 'is');
    await this.#pullWithin(reference, { bounds, credentials, watch });
    const info = await engine.inspectImage(reference);
    if (info === undefined) throw new Error('the engine does not have it after the pull');
    await this.#keepOrRemove(info, before, bounds);
    await this.#guard(info, before, credentials);
    return info;
  }

  async #pullWithin(
    reference: string,
    { bounds, credentials, watch }: { bounds: ImageRoom; credentials: RegistryCredentials | undefined; watch: PullWatch },
  ): Promise<void> {
    const tooLarge = new AbortController();
    const stopIf = (check: () => void): void => {
      try {
        check();
      } catch (error) {
        tooLarge.abort(error);
      }
    };
    const timer = setInterval(() => {
      const look = async (): Promise<void> => {
        const { freeBytes } = await this.#options.room();
        stopIf(() => this.#check(undefined, { mostBytes: undefined, freeBytes }, 'is'));
      };
      look().catch(() => undefined);
    }, roomIntervalMs);
    try {
      await this.#options.engine.pullImage(reference, {
        signal: AbortSignal.any([watch.signal, tooLarge.signal]),
        ...(credentials === undefined ? {} : { credentials }),
        onProgress: (progress) => {
          watch.onProgress(progress);
          const { mostBytes } = bounds;
          stopIf(() =>
            this.#check(Math.max(progress.totalBytes, progress.downloadedBytes), { mostBytes, freeBytes: Infinity }, 'is at least'),
          );
        },
      });
    } catch (error) {
      if (tooLarge.signal.aborted) throw tooLarge.signal.reason;
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  /** Throws when an image of so many bytes does not fit; undefined when its size is not known. */
  #check(bytes: number | undefined, { mostBytes, freeBytes }: ImageRoom, is: string): void {
    if (bytes !== undefined && mostBytes !== undefined && bytes > mostBytes) {
      throw new Error(`it ${is} ${megabytes(bytes)} large, and the provider takes no image of more than ${megabytes(mostBytes)}`);
    }
    if (freeBytes > (bytes ?? 0)) return;
    this.#options.onNoRoom();
    const needed = bytes === undefined ? '' : `, and it is ${megabytes(bytes)} large before it is unpacked`;
    throw new Error(`the provider's disk has room for ${megabytes(Math.max(0, freeBytes))}${needed}`);
  }

  async #keepOrRemove(info: ImageInfo, before: ImageInfo | undefined, bounds: ImageRoom): Promise<void> {
    if (before?.id === info.id) return;
    try {
      this.#check(info.sizeBytes, { mostBytes: bounds.mostBytes, freeBytes: Infinity }, 'is');
    } catch (error) {
      await this.#options.engine.removeImage(info.id).catch(() => undefined);
      throw error;
    }
  }

  async #guard(info: ImageInfo, before: ImageInfo | undefined, credentials: RegistryCredentials | undefined): Promise<void> {
    const { guarded } = this.#options;
    if (credentials === undefined) {
      await guarded.delete(info.id);
      return;
    }
    if (before?.id === info.id) return;
    this.#open.delete(info.id);
    await guarded.add(info.id);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
}

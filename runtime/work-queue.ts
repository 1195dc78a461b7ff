/**
 * Keys that want work, after client-go's `util/workqueue`: a key waits at most once, is never worked on twice at a time, and a key that is
 * added while it is worked on waits again afterwards. Nothing is lost and nothing is done twice at once.
 */
import { fullJitterMs } from '../api/backoff.ts';
import type { BackoffBounds } from '../api/backoff.ts';
import type { Clock } from './clock.ts';

export interface WorkQueue {
  /** Wants work now. A delay that runs for the key goes on: somebody wants a look at that time too. */
  add(key: string): void;
  /** Wants work after `delayMs`; of several delays for a key the earliest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Wants work after a wait that grows with each call until {@link forget}. Answers the wait in milliseconds. */
  addRateLimited(key: string): number;
  /** The key's next rate-limited wait is short again. */
  forget(key: string): void;
  /** Rate-limited additions since the last {@link forget}. */
  retries(key: string): number;
  /** The next key, first come first served; waits for one. Undefined once the queue is shut down. The caller must call {@link done}. */
  take(): Promise<string | undefined>;
  /** The work on this key ended, well or not. */
  done(key: string): void;
  /** Nothing is handed out or taken in any more; waits and waiters end. */
  shutDown(): void;
  /** Keys that wait for a worker; those that wait for their time are not counted. */
  readonly depth: number;
}

export interface WorkQueueOptions {
  clock: Clock;
  /** From [0, 1). */
  random: () => number;
  /** Of rate-limited waits; 50 ms growing to 30 s. */
  backoff?: BackoffBounds;
  /** Called when a key is handed out, with how long it waited for a worker. */
  onTake?: (key: string, waitedMs: number) => void;
  /** Called when a key starts to wait for a worker. */
  onAdd?: (key: string) => void;
}

interface Delayed {
  /** On the monotonic clock. */
  dueMs: number;
  cancel: () => void;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new Queue(options);
}

class Queue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In order of arrival, with the time of it. */
  readonly #waiting = new Map<string, number>();
  readonly #working = new Set<string>();
  /** Wanted again while they were worked on. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #retries = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #isShutDown = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#isShutDown) return;
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    if (this.#waiting.has(key)) return;
    this.#waiting.set(key, this.#options.clock.monotonicMs());
    this.#options.onAdd?.(key);
    this.#serve();
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#isShutDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#options.clock.monotonicMs() + delayMs;
    const known = this.#delayed.get(key);
    if (known !== undefined && known.dueMs <= dueMs) return;
    known?.cancel();
    const cancel = this.#options.clock.setTimer(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, delayMs);
    this.#delayed.set(key, { dueMs, cancel });
  }

  addRateLimited(key: string): number {
    const attempt = this.retries(key);
    const delayMs = fullJitterMs(attempt, this.#options.backoff ?? { baseMs: 50, capMs: 30_000 }, this.#options.random);
    this.#retries.set(key, attempt + 1);
    this.addAfter(key, delayMs);
    return delayMs;
  }

  forget(key: string): void {
    this.#retries.delete(key);
  }

  retries(key: string): number {
    return this.#retries.get(key) ?? 0;
  }

  async take(): Promise<string | undefined> {
    if (this.#isShutDown) return undefined;
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#serve();
    });
  }

  done(key: string): void {
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  shutDown(): void {
    this.#isShutDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#waiting.clear();
    this.#again.clear();
    this.#retries.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  /** Hands waiting keys to waiting workers. */
  #serve(): void {
    while (this.#takers.length > 0 && this.#waiting.size > 0) {
      const [key, sinceMs] = this.#waiting.entries().next().value as [string, number];
      this.#waiting.delete(key);
      this.#working.add(key);
      this.#options.onTake?.(key, this.#options.clock.monotonicMs() - sinceMs);
      this.#takers.shift()?.(key);
    }
  }
}

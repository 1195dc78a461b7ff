/** Time as an argument: machinery that waits gets a clock, so that tests can turn it by hand (`fake-clock.ts`). */
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  nowMs(): number;
  /** Never goes back; only differences mean anything. Milliseconds. */
  monotonicMs(): number;
  /** Calls back once after `delayMs`; the answer cancels. Does not keep the process alive when `background` is set. */
  setTimer(callback: () => void, delayMs: number, options?: { background?: boolean }): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (callback, delayMs, options) => {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestTimerMs));
    if (options?.background === true) timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Node's timers hold 31 bits and fire at once beyond that. */
const longestTimerMs = 2 ** 31 - 1;

/** Resolves after `delayMs`, or at once and without an error when the signal aborts. Answers whether it waited to the end. */
export async function waitFor(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return false;
  return new Promise((resolve) => {
    const onAbort = (): void => {
      cancel();
      resolve(false);
    };
    const cancel = clock.setTimer(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve(true);
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Waiting between attempts: exponential growth with full jitter, so that many clients that failed together do not return together.
 * After "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Pure: randomness is an argument.
 */

export interface BackoffBounds {
  /** Longest wait before the first retry, in milliseconds. */
  baseMs: number;
  /** No wait is longer than this, in milliseconds. */
  capMs: number;
}

/**
 * How long to wait before retry number `attempt` (0 is the first): anywhere from 0 to min(cap, base · 2^attempt), in whole milliseconds.
 * `random` answers from [0, 1).
 */
export function fullJitterMs(attempt: number, bounds: BackoffBounds, random: () => number): number {
  // 2^1023 is the largest power that a double holds; the cap makes larger ones meaningless anyway.
  const ceiling = Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(Math.max(attempt, 0), 1000));
  return Math.floor(random() * ceiling);
}

/** Counts attempts for one thing that is tried again and again. */
export interface Backoff {
  /** The next wait in milliseconds; counts as an attempt. */
  nextMs(): number;
  /** It worked: the next wait is short again. */
  reset(): void;
}

export function createBackoff(bounds: BackoffBounds, random: () => number): Backoff {
  let attempt = 0;
  return {
    nextMs: () => fullJitterMs(attempt++, bounds, random),
    reset: () => {
      attempt = 0;
    },
  };
}

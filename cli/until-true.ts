import { systemClock, waitFor } from '../runtime/clock.ts';

export interface UntilOptions {
  /** What is waited for, as the failure names it. */
  what: string;
  timeoutMs: number;
  /** Between two looks; 200 ms when absent. */
  intervalMs?: number;
  signal: AbortSignal;
}

/** It did not come true in time; the message names the last failure of the check, if it failed. */
export class TooLateError extends Error {
  override readonly name = 'TooLateError';
}

/** Looks again and again until `check` answers true. A check that throws counts as not yet; one that hangs is left behind at the end. */
export async function untilTrue(check: (signal: AbortSignal) => Promise<boolean>, options: UntilOptions): Promise<void> {
  const { what, timeoutMs, intervalMs = 200, signal } = options;
  const late = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, late]);
  let last = '';
  do {
    try {
      if (await check(either)) return;
      last = '';
    } catch (error) {
      if (!either.aborted) last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
  } while (await waitFor(systemClock, intervalMs, either));
  signal.throwIfAborted();
  throw new TooLateError(`waited ${timeoutMs / 1000} s for ${what}${last}`);
}

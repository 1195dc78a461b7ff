import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  timeoutMs: number;
  intervalMs?: number;
  /** What is waited for, as the failure names it. */
  what: string;
}

/** Runs `check` until it stops throwing and answers what it answers; after `timeoutMs` fails with the last error as its cause. */
export async function eventually<T>(check: () => T | Promise<T>, { timeoutMs, intervalMs = 50, what }: EventuallyOptions): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= deadline) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`gave up after ${timeoutMs} ms waiting for ${what}: ${reason}`, { cause: error });
      }
    }
    await delay(intervalMs);
  }
}

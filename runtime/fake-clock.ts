/** A clock that a test turns by hand. */
import type { Clock } from './clock.ts';

export interface FakeClock extends Clock {
  /** Moves time on and fires the timers that are due, in order. */
  advance(ms: number): void;
  /** Moves to the next timer; answers false when there is none. */
  advanceToNext(): boolean;
  readonly pendingTimers: number;
}

export function createFakeClock(startMs = Date.parse('2026-01-01T00:00:00Z')): FakeClock {
  let elapsedMs = 0;
  let nextId = 0;
  const timers = new Map<number, { dueMs: number; callback: () => void }>();

  function earliest(): [number, { dueMs: number; callback: () => void }] | undefined {
    // Of equal times the first one set: the sort is stable.
    return [...timers].sort(([, a], [, b]) => a.dueMs - b.dueMs)[0];
  }

  function advance(ms: number): void {
    const until = elapsedMs + ms;
    for (let next = earliest(); next !== undefined && next[1].dueMs <= until; next = earliest()) {
      const [id, { dueMs, callback }] = next;
      timers.delete(id);
      elapsedMs = Math.max(elapsedMs, dueMs);
      callback();
    }
    elapsedMs = until;
  }

  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    setTimer(callback, delayMs) {
      const id = nextId++;
      timers.set(id, { dueMs: elapsedMs + Math.max(delayMs, 0), callback });
      return () => timers.delete(id);
    },
    advance,
    advanceToNext() {
      const next = earliest();
      if (next !== undefined) advance(Math.max(0, next[1].dueMs - elapsedMs));
      return next !== undefined;
    },
    get pendingTimers() {
      return timers.size;
    },
  };
}

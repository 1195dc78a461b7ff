/** Finds out that the other end of an HTTP/2 session is gone although no connection was reset. */
import type { Http2Session } from 'node:http2';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';

export interface LivenessOptions {
  session: Pick<Http2Session, 'ping' | 'destroyed'>;
  /** Called once, when so many pings in a row had no answer until the next was due. */
  onDead: () => void;
  intervalMs?: number;
  misses?: number;
  clock?: Clock;
}

export interface Liveness {
  /** Asks at once, and takes no answer within `withinMs` for death: after the machine slept, say. */
  check(withinMs: number): void;
  stop(): void;
}

/** Dead after three intervals at most: the other end may go just after it answered, then two pings have the time of one interval each. */
export const pingIntervalMs = 10_000;
const mostMisses = 2;

export function watchLiveness(options: LivenessOptions): Liveness {
  const { session, onDead, intervalMs = pingIntervalMs, misses = mostMisses, clock = systemClock } = options;
  let missed = 0;
  let answered = true;
  let isOver = false;
  let cancel = clock.setTimer(tick, intervalMs, { background: true });

  function stop(): void {
    isOver = true;
    cancel();
  }
  function die(): void {
    if (isOver) return;
    stop();
    onDead();
  }
  /** An answer counts also when it comes late: the other end lives. */
  function ping(): void {
    answered = false;
    const sent =
      !session.destroyed &&
      session.ping((error) => {
        if (error !== null) return;
        answered = true;
        missed = 0;
      });
    // Node keeps ten pings on the way at most: that many unanswered are as good as none.
    if (!sent) answered = false;
  }
  function tick(): void {
    if (isOver) return;
    if (!answered) missed += 1;
    if (missed >= misses) {
      die();
      return;
    }
    ping();
    cancel = clock.setTimer(tick, intervalMs, { background: true });
  }
  return {
    check(withinMs) {
      if (isOver) return;
      cancel();
      ping();
      cancel = clock.setTimer(() => (answered ? tick() : die()), withinMs, { background: true });
    },
    stop,
  };
}

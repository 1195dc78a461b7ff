/** Notices that the machine slept, or that this process stood still: timers did not fire for a while, and nobody knows what became of connections. */
import { systemClock } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';

const lookMs = 1_000;
/** Less is a busy machine, or a clock that is set right. */
const jumpMs = 5_000;

/** Calls back after each sleep. In sleep the monotonic clock stops and the wall clock goes on; a process that is stopped sees both go on. Answers what ends it. */
export function watchWaking(onWake: () => void, clock: Clock = systemClock): () => void {
  let wallMs = clock.nowMs();
  let monotonicMs = clock.monotonicMs();
  const look = (): void => {
    const elapsedWallMs = clock.nowMs() - wallMs;
    const elapsedMs = clock.monotonicMs() - monotonicMs;
    wallMs += elapsedWallMs;
    monotonicMs += elapsedMs;
    cancel = clock.setTimer(look, lookMs, { background: true });
    if (elapsedWallMs - elapsedMs > jumpMs || elapsedMs > jumpMs + lookMs) onWake();
  };
  let cancel = clock.setTimer(look, lookMs, { background: true });
  return () => cancel();
}

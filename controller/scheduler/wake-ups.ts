/** Says when pending instances are looked at again: soon after a change, at most once a second, and never all at once. Pure. */

export interface WakeUpLimits {
  /** Changes that come together count as one. */
  settleMs: number;
  /** Least time between two wake-ups. */
  intervalMs: number;
  /** Keys that are due together, and the time between two such groups. */
  groupSize: number;
  groupDelayMs: number;
}

export const defaultWakeUpLimits: WakeUpLimits = { settleMs: 20, intervalMs: 1000, groupSize: 200, groupDelayMs: 100 };

export class WakeUps {
  readonly #limits: WakeUpLimits;
  /** When the latest wake-up was, or will be. */
  #atMs = -Infinity;

  constructor(limits: WakeUpLimits = defaultWakeUpLimits) {
    this.#limits = limits;
  }

  /** Answers the delay of each key, or nothing when a wake-up is due already. */
  delays(keys: Iterable<string>, nowMs: number): [key: string, delayMs: number][] {
    const { settleMs, intervalMs, groupSize, groupDelayMs } = this.#limits;
    if (this.#atMs > nowMs) return [];
    this.#atMs = Math.max(nowMs + settleMs, this.#atMs + intervalMs);
    const first = this.#atMs - nowMs;
    return Array.from(keys, (key, index) => [key, first + Math.floor(index / groupSize) * groupDelayMs]);
  }
}

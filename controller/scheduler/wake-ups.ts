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
  /** Who takes part in it. */
  readonly #due = new Set<string>();

  constructor(limits: WakeUpLimits = defaultWakeUpLimits) {
    this.#limits = limits;
  }

  /** Answers the delays of those keys that are not due already. */
  delays(keys: Iterable<string>, nowMs: number): [key: string, delayMs: number][] {
    const { settleMs, intervalMs, groupSize, groupDelayMs } = this.#limits;
    if (this.#atMs <= nowMs) {
      this.#atMs = Math.max(nowMs + settleMs, this.#atMs + intervalMs);
      this.#due.clear();
    }
    const delays: [string, number][] = [];
    for (const key of keys) {
      if (this.#due.has(key)) continue;
      delays.push([key, this.#atMs - nowMs + Math.floor(this.#due.size / groupSize) * groupDelayMs]);
      this.#due.add(key);
    }
    return delays;
  }
}

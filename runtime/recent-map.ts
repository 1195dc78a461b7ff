/** A map that keeps only what was set lately, and of that only so much. Time is an argument, in milliseconds. */
export class RecentMap<V> {
  readonly #entries = new Map<string, { value: V; setMs: number }>();
  readonly #capacity: number;
  readonly #maxAgeMs: number;

  constructor(capacity: number, maxAgeMs: number) {
    this.#capacity = capacity;
    this.#maxAgeMs = maxAgeMs;
  }

  get(key: string, nowMs: number): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (nowMs - entry.setMs < this.#maxAgeMs) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: V, nowMs: number): void {
    // Set anew at the end: the map's order is the order of age.
    this.#entries.delete(key);
    this.#entries.set(key, { value, setMs: nowMs });
    for (const [oldest, { setMs }] of this.#entries) {
      if (this.#entries.size <= this.#capacity && nowMs - setMs < this.#maxAgeMs) return;
      this.#entries.delete(oldest);
    }
  }

  get size(): number {
    return this.#entries.size;
  }
}

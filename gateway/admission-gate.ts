/** How many agents are let in at once, and how often each: after an outage all of them come together. */

/** Sessions that are counted at the API at the same time. */
const mostAtOnce = 32;
/** Of one provider: so many connections in a row, and then one in each interval. */
const burst = 6;
const refillMs = 2_000;
/** A provider that did not come for so long has its whole burst again. */
const forgetMs = burst * refillMs;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class AdmissionGate {
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();
  #inside = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get isBusy(): boolean {
    return this.#inside > 0;
  }

  /** Undefined lets it in, and {@link leave} must follow. */
  enter(providerUid: string): { code: 429 | 503; retryAfterSeconds: number } | undefined {
    if (this.#inside >= mostAtOnce) return { code: 503, retryAfterSeconds: 1 };
    const nowMs = this.#nowMs();
    this.#forget(nowMs);
    const bucket = this.#buckets.get(providerUid) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    if (tokens < 1) return { code: 429, retryAfterSeconds: Math.ceil(((1 - tokens) * refillMs) / 1000) };
    // Last, so that the map is in the order of the last visits.
    this.#buckets.delete(providerUid);
    this.#buckets.set(providerUid, { tokens: tokens - 1, atMs: nowMs });
    this.#inside += 1;
    return undefined;
  }

  leave(): void {
    this.#inside -= 1;
  }

  #forget(nowMs: number): void {
    for (const [uid, { atMs }] of this.#buckets) {
      if (nowMs - atMs < forgetMs) return;
      this.#buckets.delete(uid);
    }
  }
}

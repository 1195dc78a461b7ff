import type { EtcdConnection } from './etcd-connection.ts';

interface Bucket {
  lease: Promise<string>;
  usableUntilMs: number;
  uses: number;
}

/** As k8s.io/apiserver `pkg/storage/etcd3/lease_manager.go`: at most 60 s and a twentieth of the time to live, at most 1,000 keys. */
const mostReuseSeconds = 60;
const reuseShare = 0.05;
const mostUses = 1_000;

/** Leases shared among writes that are close in time, so that an event costs no lease of its own. Entries live a little longer for it. */
export class SharedLeases {
  readonly #connection: EtcdConnection;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<number, Bucket>();

  /** `nowMs` is a monotonic clock. */
  constructor(connection: EtcdConnection, nowMs: () => number) {
    this.#connection = connection;
    this.#nowMs = nowMs;
  }

  /** The id of a lease that lasts at least `timeToLiveSeconds` from now. Rejects as the connection does. */
  async leaseFor(timeToLiveSeconds: number): Promise<string> {
    if (!(timeToLiveSeconds > 0)) throw new RangeError(`a time to live must be positive, not ${timeToLiveSeconds}`);
    const seconds = Math.ceil(timeToLiveSeconds);
    const known = this.#buckets.get(seconds);
    if (known !== undefined && known.usableUntilMs > this.#nowMs() && known.uses < mostUses) {
      known.uses += 1;
      return known.lease;
    }
    return this.#grant(seconds);
  }

  /** Drops a lease that etcd no longer knows. */
  async forget(lease: string): Promise<void> {
    for (const [seconds, bucket] of this.#buckets) {
      if ((await bucket.lease.catch(() => lease)) === lease) this.#buckets.delete(seconds);
    }
  }

  #grant(seconds: number): Promise<string> {
    const now = this.#nowMs();
    for (const [key, bucket] of this.#buckets) {
      if (bucket.usableUntilMs <= now) this.#buckets.delete(key);
    }
    const reuseSeconds = Math.max(1, Math.min(mostReuseSeconds, Math.floor(seconds * reuseShare)));
    const lease = this.#connection.write('leaseGrant', { TTL: seconds + reuseSeconds }).then(({ ID }) => ID);
    const bucket = { lease, usableUntilMs: now + reuseSeconds * 1_000, uses: 1 };
    this.#buckets.set(seconds, bucket);
    lease.catch(() => {
      if (this.#buckets.get(seconds) === bucket) this.#buckets.delete(seconds);
    });
    return lease;
  }
}

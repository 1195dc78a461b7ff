/** How much of the owner's line instances have. `pool-bandwidth.ts` and `fake-bandwidth-limits.ts` implement it; one contract test runs on both. */

/** In bit/s on the wire; absent is not limited. */
export interface Bandwidth {
  /** Towards the instance: what it downloads. */
  ingressBitsPerSecond?: number;
  /** Away from the instance: what it uploads. */
  egressBitsPerSecond?: number;
}

/** On the wire. */
export interface PassedBytes {
  ingressBytes: number;
  egressBytes: number;
}

export interface BandwidthLimits {
  /** What all instances have together, from now on; those that want more than there is share it evenly. */
  setOffer(offer: Bandwidth): Promise<void>;
  /**
   * What a container has: at once if it runs, and from the first packet of every later start, whoever starts it. Rejects when it cannot be
   * put in place; then what held before still holds.
   */
  apply(containerId: string, bandwidth: Bandwidth): Promise<void>;
  /** What was last put in place; nothing of a container that is not known. */
  applied(containerId: string): Promise<Bandwidth>;
  /** What of a container's went through so far, each way, since it started; nothing of one that does not run. */
  passed(containerId: string): Promise<PassedBytes>;
  /** For a container that is gone. */
  forget(containerId: string): Promise<void>;
}

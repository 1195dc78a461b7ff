/** Bandwidth limits without a network, for tests: keeps what it is told, and fails where it is told to. */
import type { Bandwidth, BandwidthLimits, PassedBytes } from './bandwidth-limits.ts';

export class FakeBandwidthLimits implements BandwidthLimits {
  offer: Bandwidth = {};
  readonly containers = new Map<string, Bandwidth>();
  /** Thrown by the next call that would change something, once. */
  nextError: Error | undefined;

  async setOffer(offer: Bandwidth): Promise<void> {
    await this.#fail();
    this.offer = { ...offer };
  }

  async apply(containerId: string, bandwidth: Bandwidth): Promise<void> {
    await this.#fail();
    this.containers.set(containerId, { ...bandwidth });
  }

  applied(containerId: string): Promise<Bandwidth> {
    return Promise.resolve({ ...this.containers.get(containerId) });
  }

  /** There is no network. */
  passed(): Promise<PassedBytes> {
    return Promise.resolve({ ingressBytes: 0, egressBytes: 0 });
  }

  async forget(containerId: string): Promise<void> {
    await this.#fail();
    this.containers.delete(containerId);
  }

  #fail(): Promise<void> {
    const error = this.nextError;
    this.nextError = undefined;
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  }
}

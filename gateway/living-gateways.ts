/** Which gateways live, by their leases. */
import type { Lease } from '../api/resource-type.ts';
import { gatewayLeaseDurationSeconds, gatewayLeaseNamespace } from '../api/names.ts';
import type { Informer } from '../client/informer.ts';

/** A lease lives for so long after we saw it renewed: other machines' clocks are not compared with ours. */
export class LivingGateways {
  readonly #seenMs = new Map<string, number>();
  readonly #nowMs: () => number;
  readonly #unlisten: () => void;

  constructor(leases: Informer<Lease>, nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#unlisten = leases.onChange((key, lease) => {
      const name = key.slice(gatewayLeaseNamespace.length + 1);
      if (lease === undefined) this.#seenMs.delete(name);
      else this.#seenMs.set(name, this.#nowMs());
    });
  }

  has(name: string): boolean {
    const seenMs = this.#seenMs.get(name);
    return seenMs !== undefined && this.#nowMs() - seenMs < gatewayLeaseDurationSeconds * 1000;
  }

  stop(): void {
    this.#unlisten();
  }
}

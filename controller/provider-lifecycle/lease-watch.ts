/** When we saw providers' leases change, on our own monotonic clock; what the agents' clocks say is only compared for being another. Pure. */
import type { Lease } from '../../api/resource-type.ts';

interface Sighting {
  holder: string | undefined;
  renewTime: string | undefined;
  /** From here its time counts. */
  fromMs: number;
  /** When it was seen to change; a lease that was only found has not. */
  changedMs: number | undefined;
}

export interface LeaseAge {
  holder: string | undefined;
  sinceRenewalMs: number;
  /** Infinity when it was never seen to change. */
  sinceChangeMs: number;
}

export class LeaseWatch {
  readonly #startedAtMs: number;
  readonly #sightings = new Map<string, Sighting>();

  constructor(startedAtMs: number) {
    this.#startedAtMs = startedAtMs;
  }

  /** A lease that is gone keeps its last sighting: its provider ages as if it did not renew. */
  see(name: string, lease: Lease | undefined, monotonicMs: number): void {
    if (lease === undefined) return;
    const { holderIdentity: holder, renewTime } = lease.spec;
    const before = this.#sightings.get(name);
    if (before?.renewTime === renewTime && before?.holder === holder) return;
    const changedMs = before === undefined ? undefined : monotonicMs;
    this.#sightings.set(name, { holder, renewTime, fromMs: monotonicMs, changedMs });
  }

  ageOf(name: string, monotonicMs: number): LeaseAge {
    const { holder, fromMs, changedMs } = this.#sightings.get(name) ?? {
      holder: undefined,
      fromMs: this.#startedAtMs,
      changedMs: undefined,
    };
    return { holder, sinceRenewalMs: monotonicMs - fromMs, sinceChangeMs: monotonicMs - (changedMs ?? -Infinity) };
  }

  forget(name: string): void {
    this.#sightings.delete(name);
  }

  /** We, or the API, were away: nobody could be seen renewing, so everyone has the whole time again. */
  restart(monotonicMs: number): void {
    for (const sighting of this.#sightings.values()) sighting.fromMs = monotonicMs;
  }
}

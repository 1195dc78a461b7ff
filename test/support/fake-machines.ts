/** Providers without machines, for tests of the control plane: the objects that an agent would write, and leases that are renewed. */
import type { Provider } from '../../api/generated/provider.ts';
import { providerLeaseNamespace } from '../../api/names.ts';
import { leases, providers } from '../../api/resource-type.ts';
import { formatMicroTime } from '../../api/time.ts';
import type { Client } from '../../client/client.ts';
import { isNotFound } from '../../client/client.ts';
import { updateStatus } from '../../runtime/status-writer.ts';

const renewEveryMs = 500;

export class FakeMachines {
  readonly #client: Client;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #renewals: Promise<unknown> = Promise.resolve();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Answers when its status is written and its first lease stands. */
  async add(name: string, allocatable: Record<string, string>, spec: Partial<Provider['spec']> = {}): Promise<Provider> {
    const provider = await this.#client.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name },
      spec: { owner: 'alan', offer: { disk: '100Gi', ...allocatable }, ...spec },
    });
    await updateStatus(this.#client, providers, { name }, (stored) => ({
      ...stored,
      status: { ...stored.status, allocatable: { disk: '100Gi', ...allocatable } },
    }));
    const uid = provider.metadata.uid ?? '';
    await this.#renew(name, uid);
    const timer = setInterval(() => {
      this.#renewals = this.#renewals.then(() => this.#renew(name, uid)).catch(() => undefined);
    }, renewEveryMs);
    this.#timers.set(name, timer);
    return provider;
  }

  /** As if it lost its network. */
  silence(name: string): void {
    clearInterval(this.#timers.get(name));
    this.#timers.delete(name);
  }

  async stop(): Promise<void> {
    for (const name of [...this.#timers.keys()]) this.silence(name);
    await this.#renewals;
  }

  async #renew(name: string, holderIdentity: string): Promise<void> {
    const key = { namespace: providerLeaseNamespace, name };
    const spec = { holderIdentity, leaseDurationSeconds: 40, renewTime: formatMicroTime(Date.now()) };
    try {
      await this.#client.patch(leases, key, { spec });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#client.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: key, spec });
    }
  }
}

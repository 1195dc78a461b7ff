/** Says whether a provider is there, from its lease, and clears its assignments when its owner withdraws it or it leaves the pool. */
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderInventory } from '../../api/generated/provider-inventory.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providerLeaseNamespace } from '../../api/names.ts';
import { keyOf } from '../../api/object.ts';
import { unboundStatus } from '../../api/placement-status.ts';
import { apiVersionOf, instances, leases, namespaces, providerInventories, providers } from '../../api/resource-type.ts';
import type { Lease } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import type { Clock } from '../../runtime/clock.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { goneUnbinding, withdrawnUnbinding } from './events.ts';
import type { Unbinding } from './events.ts';
import { judgeProvider } from './judge-provider.ts';
import type { ProviderStatus } from './judge-provider.ts';
import { LeaseWatch } from './lease-watch.ts';

export interface ProviderLifecycleOptions {
  client: Pick<Client, 'get' | 'patch' | 'replaceStatus'>;
  providers: Informer<Provider>;
  /** Those of the namespace of providers' leases. */
  leases: Informer<Lease>;
  ledgers: Informer<ProviderReservation>;
  inventories: Informer<ProviderInventory>;
  instances: Informer<Instance>;
  /** By the name in their assignment, whatever the uid. */
  assignedTo: (providerName: string) => readonly Instance[];
  record: (about: Instance, event: { type: 'Normal' | 'Warning'; reason: string; message: string }) => void;
  clock: Clock;
  leaseDurationMs: number;
}

/** No provider can have this name. */
const heartbeatKey = ':heartbeat';
const heartbeatMs = 5_000;
/** A heartbeat that is later than this was held up: the machine slept, or the process did not run. */
const stallMs = 15_000;
const settleMs = 50;
const afterConflictMs = 50;
/** Assignments cleared in one pass, and the pause before the next: nobody's instances all start at once. */
const clearedPerPass = 20;
const clearPauseMs = 500;

export class ProviderLifecycle implements Controller {
  readonly name = 'provider-lifecycle';
  readonly concurrency = 8;
  readonly #options: ProviderLifecycleOptions;
  readonly #watch: LeaseWatch;
  #lastBeatMs: number;

  constructor(options: ProviderLifecycleOptions) {
    this.#options = options;
    this.#lastBeatMs = options.clock.monotonicMs();
    this.#watch = new LeaseWatch(this.#lastBeatMs);
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { providers: machines, leases: held, ledgers, inventories, instances: all, clock } = this.#options;
    held.onChange((_, lease, previous) => {
      const name = (lease ?? previous)?.metadata.name ?? '';
      this.#watch.see(name, lease, clock.monotonicMs());
      enqueue(name);
    });
    machines.onChange((name, provider) => {
      if (provider === undefined) this.#watch.forget(name);
      enqueue(name);
    });
    ledgers.onChange((name) => enqueue(name, settleMs));
    inventories.onChange((name) => enqueue(name, settleMs));
    all.onChange((_, instance, previous) => {
      const [now, before] = [instance?.status?.assignment, previous?.status?.assignment];
      if (now?.epoch === before?.epoch && now?.providerUID === before?.providerUID) return;
      for (const assignment of [now, before]) if (assignment !== undefined) enqueue(assignment.providerName, settleMs);
    });
    enqueue(heartbeatKey);
  }

  async reconcile(key: string, context: ReconcileContext): Promise<Outcome> {
    const { providers: machines, leases: held, ledgers, inventories, instances: all } = this.#options;
    await Promise.all([machines, held, ledgers, inventories, all].map((informer) => informer.whenSynced()));
    if (key === heartbeatKey) return this.#beat(context.signal);
    const provider = machines.get(key);
    const orphans = this.#options.assignedTo(key).filter(({ status }) => status?.assignment?.providerUID !== provider?.metadata.uid);
    if (orphans.length > 0 && (await this.#isTrue(key, provider))) return this.#clear(orphans, goneUnbinding(key), context.nowMs);
    if (provider === undefined) return settled;
    await this.#own(provider);
    return this.#reconcileProvider(provider, context.nowMs);
  }

  async #reconcileProvider(provider: Provider, nowMs: number): Promise<Outcome> {
    const { clock, ledgers, leaseDurationMs } = this.#options;
    const { name = '', uid } = provider.metadata;
    const assigned = this.#options.assignedTo(name).filter(({ status }) => status?.assignment?.providerUID === uid);
    const isEmpty = assigned.length === 0 && (ledgers.get(name)?.spec.reservations ?? []).length === 0;
    const judge = (): ReturnType<typeof judgeProvider> =>
      judgeProvider({ provider, lease: this.#watch.ageOf(name, clock.monotonicMs()), leaseDurationMs, isEmpty, nowMs });
    let verdict = judge();
    if (verdict.becomesUnknown) {
      await this.#seeLease(name);
      verdict = judge();
    }
    if (verdict.status !== provider.status && !(await this.#writeStatus(provider, verdict.status))) {
      return recheckAfter(afterConflictMs);
    }
    if (verdict.clearAssignments && assigned.length > 0) return this.#clear(assigned, withdrawnUnbinding(name), nowMs);
    return verdict.recheckAfterMs === undefined ? settled : recheckAfter(verdict.recheckAfterMs);
  }

  /** Proves every few seconds that we run and the API answers; after an absence of either, leases count from now. */
  async #beat(signal: AbortSignal): Promise<Outcome> {
    const { client, clock } = this.#options;
    await client.get(namespaces, { name: providerLeaseNamespace }, { signal, timeoutMs: heartbeatMs }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastBeatMs > stallMs) this.#watch.restart(nowMs);
    this.#lastBeatMs = nowMs;
    return recheckAfter(heartbeatMs);
  }

  /** Reads a lease past every cache; it may have been renewed after all. If we were away, nobody can know. */
  async #seeLease(name: string): Promise<void> {
    const { client, clock } = this.#options;
    if (clock.monotonicMs() - this.#lastBeatMs > stallMs) this.#watch.restart(clock.monotonicMs());
    const lease = await client.get(leases, { namespace: providerLeaseNamespace, name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    this.#watch.see(name, lease, clock.monotonicMs());
  }

  async #writeStatus(provider: Provider, status: ProviderStatus): Promise<boolean> {
    try {
      await this.#options.client.replaceStatus(providers, { ...provider, status });
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  /** Whether the API knows no other machine of this name than we do. */
  async #isTrue(name: string, provider: Provider | undefined): Promise<boolean> {
    try {
      return (await this.#options.client.get(providers, { name })).metadata.uid === provider?.metadata.uid;
    } catch (error) {
      if (isNotFound(error)) return provider === undefined;
      throw error;
    }
  }

  async #clear(assigned: readonly Instance[], unbinding: Unbinding, nowMs: number): Promise<Outcome> {
    const { client, record } = this.#options;
    const outcomes = await Promise.all(
      assigned.slice(0, clearedPerPass).map(async (instance) => {
        try {
          const status = unboundStatus(instance, unbinding.reason, unbinding.message, nowMs);
          record(await client.replaceStatus(instances, { ...instance, status }), { type: 'Warning', ...unbinding });
        } catch (error) {
          if (!isConflict(error) && !isNotFound(error)) throw error;
        }
      }),
    );
    return recheckAfter(assigned.length > outcomes.length ? clearPauseMs : afterConflictMs);
  }

  /** The inventory goes with its provider, by garbage collection; an agent may not say so itself. */
  async #own(provider: Provider): Promise<void> {
    const { name = '', uid = '' } = provider.metadata;
    const inventory = this.#options.inventories.get(name);
    if (inventory === undefined || inventory.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true) return;
    const ownerReferences = [{ apiVersion: apiVersionOf(providers), kind: providers.kind, name, uid }];
    const { resourceVersion } = inventory.metadata;
    try {
      await this.#options.client.patch(providerInventories, keyOf(inventory), { metadata: { resourceVersion, ownerReferences } });
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
}

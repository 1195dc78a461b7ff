/**
 * Gives every instance a place: decide on the snapshot, reserve in the provider's ledger, bind. Any number of schedulers may run at once;
 * docs/states.md says why they never overfill a provider.
 */
import { reservedAmounts } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { containerFinalizer } from '../../api/names.ts';
import { boundStatus, burntStatus, isFinished, nextEpoch, refusedStatus } from '../../api/placement-status.ts';
import type { InstanceStatus } from '../../api/placement-status.ts';
import { instances } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { allocatableRow } from './amounts.ts';
import { noProviderFitsEvent, placedEvent } from './events.ts';
import type { SchedulerEvent } from './events.ts';
import { explain } from './explain.ts';
import { formatHostname, freeHostnameNumber } from './hostname.ts';
import { reserve } from './ledger.ts';
import type { ReserveResult } from './ledger.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { fitsOn, place } from './place.ts';
import { placementRequest } from './request.ts';
import type { PlacementRequest } from './request.ts';
import type { Snapshot } from './snapshot.ts';
import { WakeUps } from './wake-ups.ts';

export interface SchedulerOptions {
  client: Pick<Client, 'replaceStatus'>;
  instances: Informer<Instance>;
  providers: Informer<Provider>;
  ledgers: Informer<ProviderReservation>;
  snapshot: Snapshot;
  writer: LedgerWriter;
  record: (about: Instance, event: SchedulerEvent) => void;
  nowMs: () => number;
}

/** A ledger that another scheduler filled first is tried this often in one pass. */
const maxTries = 3;
/** Another writer was first: its event is on the way. */
const afterConflictMs = 20;
const afterContentionMs = 200;

export class Scheduler implements Controller {
  readonly name = 'scheduler';
  readonly concurrency = 64;
  readonly #options: SchedulerOptions;
  readonly #pending = new Set<string>();
  readonly #wakeUps = new WakeUps();
  #wake: () => void = () => undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { instances: all, providers, ledgers, snapshot, nowMs } = this.#options;
    this.#wake = () => {
      for (const [key, delayMs] of this.#wakeUps.delays(this.#pending, nowMs())) enqueue(key, delayMs);
    };
    ledgers.onChange((name, ledger) => {
      if (ledger !== undefined) {
        this.seeLedger(ledger);
        return;
      }
      snapshot.removeLedger(name);
      this.#wake();
    });
    providers.onChange((name, provider) => {
      if (provider === undefined) snapshot.removeProvider(name);
      if (provider === undefined || snapshot.setProvider(provider)) this.#wake();
    });
    all.onChange((key, instance) => {
      if (instance !== undefined && needsPlace(instance)) enqueue(key);
      else this.#pending.delete(key);
    });
  }

  /** Also called with what was written here, before the informer has it. */
  seeLedger(ledger: ProviderReservation): void {
    if (this.#options.snapshot.setLedger(ledger)) this.#wake();
  }

  async reconcile(key: string, { nowMs }: ReconcileContext): Promise<Outcome> {
    const { instances: all, providers, ledgers } = this.#options;
    await Promise.all([all.whenSynced(), providers.whenSynced(), ledgers.whenSynced()]);
    const instance = all.get(key);
    if (instance === undefined || !needsPlace(instance)) {
      this.#pending.delete(key);
      return settled;
    }
    for (let attempt = 0; attempt < maxTries; attempt += 1) {
      const outcome = await this.#try(key, instance, nowMs);
      if (outcome !== 'full') return outcome;
    }
    return recheckAfter(afterContentionMs);
  }

  /** `full`: the ledger had less room than the snapshot showed; by now the snapshot knows. */
  async #try(key: string, instance: Instance, nowMs: number): Promise<Outcome | 'full'> {
    const { snapshot, providers } = this.#options;
    const request = placementRequest(instance);
    const held = snapshot.heldBy(request.uid);
    const isCurrent = held !== undefined && held.epoch === nextEpoch(instance);
    if (isCurrent && !fitsOn(snapshot, held.slot, withoutHeld(request, held.amounts))) {
      return this.#writeStatus(instance, burntStatus(instance, held.epoch), () => recheckAfter(0));
    }
    const slot = isCurrent ? held.slot : undefined;
    const choice = slot === undefined ? place(snapshot, request) : { placed: true as const, providerName: snapshot.names[slot] ?? '' };
    if (!choice.placed) return this.#refuse(key, instance, explain(choice), nowMs);
    const provider = providers.get(choice.providerName);
    if (provider === undefined) return recheckAfter(afterConflictMs);
    snapshot.assume(choice.providerName, request.uid, request.namespace, request.amounts);
    try {
      const result = await this.#reserve(provider, instance, nowMs);
      if (result.reserved) return await this.#bind(key, instance, provider, result.hostnameNumber, nowMs);
      return result.short === 'superseded' ? recheckAfter(afterConflictMs) : 'full';
    } finally {
      snapshot.forget(choice.providerName, request.uid);
      // Others may have been refused for a place that was not taken after all.
      if (snapshot.heldBy(request.uid) === undefined) this.#wake();
    }
  }

  async #reserve(provider: Provider, instance: Instance, nowMs: number): Promise<ReserveResult> {
    const { uid = '', namespace = '', name = '' } = instance.metadata;
    const wish = { instanceUid: uid, namespace, name, epoch: nextEpoch(instance), amounts: reservedAmounts(instance.spec) };
    const allocatable = allocatableRow(provider.status?.allocatable);
    const freeNumber = (taken: ReadonlySet<number>): number => freeHostnameNumber(namespace, provider.metadata.name ?? '', taken);
    return this.#options.writer.change(provider, (spec) => {
      const { spec: after, result } = reserve(spec, allocatable, wish, freeNumber, nowMs);
      return { spec: after, result, doubtful: !result.reserved };
    });
  }

  async #bind(key: string, instance: Instance, provider: Provider, hostnameNumber: number, nowMs: number): Promise<Outcome> {
    const { name: providerName = '', uid: providerUID = '' } = provider.metadata;
    const hostname = formatHostname(instance.metadata.namespace ?? '', providerName, hostnameNumber);
    const status = boundStatus(instance, { providerName, providerUID, epoch: nextEpoch(instance) }, hostname, nowMs);
    return this.#writeStatus(instance, status, (written) => {
      this.#pending.delete(key);
      this.#options.record(written, placedEvent(providerName, hostname));
      return settled;
    });
  }

  async #refuse(key: string, instance: Instance, sentence: string, nowMs: number): Promise<Outcome> {
    this.#pending.add(key);
    const status = refusedStatus(instance, sentence, nowMs);
    if (status === instance.status) return settled;
    return this.#writeStatus(instance, status, (written) => {
      this.#options.record(written, noProviderFitsEvent(sentence));
      return settled;
    });
  }

  /** Compares the resourceVersion on which everything was decided. Who loses looks at the instance anew, and finds its own reservation. */
  async #writeStatus(instance: Instance, status: InstanceStatus, then: (written: Instance) => Outcome): Promise<Outcome> {
    try {
      return then(await this.#options.client.replaceStatus(instances, { ...instance, status }));
    } catch (error) {
      if (isConflict(error)) return recheckAfter(afterConflictMs);
      if (isNotFound(error)) return settled;
      throw error;
    }
  }
}

/** Nothing is done for an instance whose finalizer is not stored: who removes what it leaves behind would not be told. */
export function needsPlace(instance: Instance): boolean {
  const { metadata, status } = instance;
  if (metadata.deletionTimestamp !== undefined || status?.assignment !== undefined || isFinished(instance)) return false;
  return metadata.finalizers?.includes(containerFinalizer) ?? false;
}

/** What it asks beyond what is reserved for it already. */
function withoutHeld(request: PlacementRequest, held: Float64Array): PlacementRequest {
  return { ...request, amounts: request.amounts.map((amount, index) => Math.max(0, amount - (held[index] ?? 0))) };
}

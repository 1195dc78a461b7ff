/** Keeps each provider's ledger true to the instances: releases, expires, and books what is bound without an entry. Never binds. */
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { burntStatus, isFinished } from '../../api/placement-status.ts';
import { formatKey, parseKey } from '../../api/object.ts';
import { instances } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { allocatableRow } from './amounts.ts';
import type { Reservation } from './book.ts';
import { resizeRefusedEvent } from './events.ts';
import type { SchedulerEvent } from './events.ts';
import { freeHostnameNumber } from './hostname.ts';
import { addMissing, judgeEntry, release, reserve } from './ledger.ts';
import type { LedgerSpec, PlaceWish } from './ledger.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { isSettled, planLedger, wishOf } from './plan-ledger.ts';
import type { LedgerPlan } from './plan-ledger.ts';

export interface LedgerKeeperOptions {
  client: Pick<Client, 'get' | 'replaceStatus'>;
  instances: Informer<Instance>;
  providers: Informer<Provider>;
  /** Has the index `instance-uid`. */
  ledgers: Informer<ProviderReservation>;
  boundTo: (providerUid: string) => readonly Instance[];
  writer: LedgerWriter;
  record: (about: Instance, event: SchedulerEvent) => void;
  /** How long a reservation may wait for its bind. */
  expiryMs: number;
}

export const instanceUidIndex = 'instance-uid';
export function instanceUidsOf(ledger: ProviderReservation): string[] {
  return (ledger.spec.reservations ?? []).map(({ instanceUID }) => instanceUID);
}

/** Changes of one provider's instances come in groups. */
const settleMs = 50;

export class LedgerKeeper implements Controller {
  readonly name = 'ledger-keeper';
  readonly concurrency = 8;
  readonly #options: LedgerKeeperOptions;

  constructor(options: LedgerKeeperOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { instances: all, providers, ledgers } = this.#options;
    ledgers.onChange((name) => enqueue(name, settleMs));
    // A ledger that was deleted, and a provider whose room grew for a resize that did not fit.
    providers.onChange((name) => enqueue(name, settleMs));
    all.onChange((_, instance, previous) => {
      if (instance !== undefined && previous !== undefined && !matters(instance, previous)) return;
      for (const name of this.#ledgersOf(instance ?? previous)) enqueue(name, settleMs);
      for (const name of this.#ledgersOf(previous)) enqueue(name, settleMs);
    });
  }

  #ledgersOf(instance: Instance | undefined): string[] {
    if (instance === undefined) return [];
    const held = this.#options.ledgers.byIndex(instanceUidIndex, instance.metadata.uid ?? '').map(({ metadata }) => metadata.name ?? '');
    const bound = instance.status?.assignment?.providerName;
    return bound === undefined || held.includes(bound) ? held : [...held, bound];
  }

  async reconcile(name: string, { nowMs }: ReconcileContext): Promise<Outcome> {
    const { instances: all, providers, ledgers, boundTo, expiryMs } = this.#options;
    await Promise.all([all.whenSynced(), providers.whenSynced(), ledgers.whenSynced()]);
    const provider = providers.get(name);
    if (provider === undefined) {
      this.#options.writer.forget(name);
      return settled;
    }
    const { uid = '' } = provider.metadata;
    const ledger = ledgers.get(name);
    const boundHere = boundTo(uid);
    if (ledger === undefined && boundHere.length === 0) return settled;
    const spec = ledger?.spec.providerUID === uid ? ledger.spec : { providerUID: uid };
    const instanceOf = (entry: Reservation): Instance | undefined => all.get(formatKey({ namespace: entry.namespace, name: entry.name }));
    const plan = planLedger({ spec, instanceOf, boundHere, nowMs, expiryMs });
    if (isSettled(plan)) return plan.nextExpiryMs === undefined ? settled : recheckAfter(plan.nextExpiryMs - nowMs);
    const dead = [...plan.dead, ...(await this.#burn(plan)), ...(await this.#findDead(plan.unknown, uid))];
    await this.#write(provider, { ...plan, dead }, nowMs);
    const isUnfinished = plan.unknown.length + plan.expired.length > 0 || plan.nextExpiryMs !== undefined;
    return isUnfinished ? recheckAfter(Math.max(settleMs, Math.min(expiryMs, (plan.nextExpiryMs ?? nowMs + expiryMs) - nowMs))) : settled;
  }

  /** Answers the entries whose epoch can no longer be bound. */
  async #burn({ expired }: LedgerPlan): Promise<Reservation[]> {
    const burnt: Reservation[] = [];
    for (const { entry, instance } of expired) {
      try {
        await this.#options.client.replaceStatus(instances, { ...instance, status: burntStatus(instance, entry.epoch) });
        burnt.push(entry);
      } catch (error) {
        // It changed: bound perhaps. Its event brings us back. Gone: the entry is found dead then.
        if (!isConflict(error) && !isNotFound(error)) throw error;
      }
    }
    return burnt;
  }

  /** Our copy does not have these instances, which may as well be a copy that lags. */
  async #findDead(unknown: readonly Reservation[], providerUid: string): Promise<Reservation[]> {
    const dead: Reservation[] = [];
    for (const entry of unknown) {
      try {
        const instance = await this.#options.client.get(instances, parseKey(`${entry.namespace}/${entry.name}`));
        const verdict = judgeEntry(entry, instance, providerUid);
        if (verdict === 'dead' || verdict === 'unknown') dead.push(entry);
      } catch (error) {
        if (!isNotFound(error)) throw error;
        dead.push(entry);
      }
    }
    return dead;
  }

  async #write(provider: Provider, { dead, finished, missing, resized }: LedgerPlan, nowMs: number): Promise<void> {
    if (dead.length + finished.length + missing.length + resized.length === 0) return;
    const name = provider.metadata.name ?? '';
    const instanceOf = ({ namespace, name: own }: PlaceWish): Instance | undefined =>
      this.#options.instances.get(formatKey({ namespace, name: own }));
    const number = (wish: PlaceWish, taken: ReadonlySet<number>): number => numberOf(instanceOf(wish), wish, name, taken);
    const allocatable = allocatableRow(provider.status?.allocatable);
    const refused = await this.#options.writer.change(provider, (before) => {
      let spec = addMissing(release(before, dead, finished), missing, number, nowMs);
      const short: { wish: PlaceWish; short: readonly string[] }[] = [];
      for (const wish of resized) {
        const { spec: after, result } = reserve(spec, allocatable, wish, (taken) => number(wish, taken), nowMs);
        spec = after;
        if (!result.reserved && typeof result.short !== 'string') short.push({ wish, short: result.short });
      }
      return { spec, result: short, doubtful: false };
    });
    for (const { wish, short } of refused) {
      const instance = instanceOf(wish);
      if (instance !== undefined) this.#options.record(instance, resizeRefusedEvent(name, short));
    }
  }
}

/** The number in the hostname that the instance bears already. */
function numberOf(instance: Instance | undefined, wish: PlaceWish, providerName: string, taken: ReadonlySet<number>): number {
  const borne = Number(/-(\d+)$/.exec(instance?.status?.hostname ?? '')?.[1] ?? Number.NaN);
  return Number.isInteger(borne) && !taken.has(borne) ? borne : freeHostnameNumber(wish.namespace, providerName, taken);
}

/** What a ledger begins with: everything that is bound to the provider. */
export function initialLedger(providerUid: string, bound: readonly Instance[], providerName: string, nowMs: number): LedgerSpec {
  const byUid = new Map(bound.map((instance) => [instance.metadata.uid ?? '', instance]));
  const number = (wish: PlaceWish, taken: ReadonlySet<number>): number => numberOf(byUid.get(wish.instanceUid), wish, providerName, taken);
  return addMissing({ providerUID: providerUid, reservations: [] }, bound.map(wishOf), number, nowMs);
}

function matters(instance: Instance, previous: Instance): boolean {
  const [now, before] = [instance.status, previous.status];
  return (
    instance.metadata.uid !== previous.metadata.uid ||
    instance.metadata.generation !== previous.metadata.generation ||
    instance.metadata.deletionTimestamp !== previous.metadata.deletionTimestamp ||
    now?.assignment?.epoch !== before?.assignment?.epoch ||
    now?.lastEpoch !== before?.lastEpoch ||
    isFinished(instance) !== isFinished(previous)
  );
}

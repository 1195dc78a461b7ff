/** Compares a ledger with the instances: what to take away, to book, to resize, to burn. Pure. */
import { reservedAmounts } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { isFinished } from '../../api/placement-status.ts';
import { parseTime } from '../../api/time.ts';
import type { Reservation } from './book.ts';
import { judgeEntry, sameAmounts } from './ledger.ts';
import type { LedgerSpec, PlaceWish } from './ledger.ts';

export interface LedgerPlan {
  dead: Reservation[];
  /** Instances that ended: their amounts are free, their hostname is not. */
  finished: Reservation[];
  /** Not in the cache: read it from the API before anything is concluded. */
  unknown: Reservation[];
  /** Waited too long for its bind. The epoch is burnt first; then the entry is dead. */
  expired: { entry: Reservation; instance: Instance }[];
  /** Bound here without an entry. */
  missing: PlaceWish[];
  /** Bound here, with other requests than what is reserved. */
  resized: PlaceWish[];
  /** When the next entry expires; undefined when none can. */
  nextExpiryMs: number | undefined;
}

export interface LedgerFacts {
  spec: LedgerSpec;
  /** The instance of that namespace and name, as last seen. */
  readonly instanceOf: (entry: Reservation) => Instance | undefined;
  /** Instances that are bound to the provider of this ledger. */
  boundHere: readonly Instance[];
  nowMs: number;
  expiryMs: number;
}

export function planLedger(facts: LedgerFacts): LedgerPlan {
  const plan: LedgerPlan = { dead: [], finished: [], unknown: [], expired: [], missing: [], resized: [], nextExpiryMs: undefined };
  for (const entry of facts.spec.reservations ?? []) planEntry(plan, entry, facts);
  planBound(plan, facts);
  return plan;
}

function planEntry(plan: LedgerPlan, entry: Reservation, facts: LedgerFacts): void {
  const instance = facts.instanceOf(entry);
  switch (judgeEntry(entry, instance, facts.spec.providerUID)) {
    case 'dead':
      plan.dead.push(entry);
      break;
    case 'unknown':
      plan.unknown.push(entry);
      break;
    case 'finished':
      if (Object.keys(entry.amounts).length > 0) plan.finished.push(entry);
      break;
    case 'waiting': {
      const expiresAtMs = (parseTime(entry.reservedAt) ?? 0) + facts.expiryMs;
      if (expiresAtMs > facts.nowMs) plan.nextExpiryMs = Math.min(plan.nextExpiryMs ?? Infinity, expiresAtMs);
      else if (instance !== undefined) plan.expired.push({ entry, instance });
      break;
    }
    case 'bound':
      break;
  }
}

function planBound(plan: LedgerPlan, { spec, boundHere }: LedgerFacts): void {
  const byUid = new Map((spec.reservations ?? []).map((entry) => [entry.instanceUID, entry]));
  for (const instance of boundHere) {
    const wish = wishOf(instance);
    const entry = byUid.get(wish.instanceUid);
    if (entry === undefined || entry.epoch < wish.epoch) plan.missing.push(wish);
    else if (!isFinished(instance) && !sameAmounts(entry.amounts, wish.amounts)) plan.resized.push(wish);
  }
}

/** What a bound instance should have in the ledger. */
export function wishOf(instance: Instance): PlaceWish {
  const { uid = '', namespace = '', name = '' } = instance.metadata;
  const amounts = isFinished(instance) ? {} : reservedAmounts(instance.spec);
  return { instanceUid: uid, namespace, name, epoch: instance.status?.assignment?.epoch ?? 0, amounts };
}

export function isSettled({ dead, finished, unknown, expired, missing, resized }: LedgerPlan): boolean {
  return [dead, finished, unknown, expired, missing, resized].every((list) => list.length === 0);
}

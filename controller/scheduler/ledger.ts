/** What may happen to a provider's ledger (`ProviderReservation.spec`). Functions from one content to the next; the same object means no change. Pure. */
import type { ResourceName } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import { isFinished } from '../../api/placement-status.ts';
import { formatTime } from '../../api/time.ts';
import { addTo, askedRow, resourceCount, shortResources } from './amounts.ts';
import type { AmountRow } from './amounts.ts';
import type { Reservation } from './book.ts';
import { maxReservations } from './filters/resources.ts';

export type LedgerSpec = ProviderReservation['spec'];

export interface PlaceWish {
  instanceUid: string;
  namespace: string;
  name: string;
  epoch: number;
  amounts: Record<string, string>;
}

export type ReserveResult =
  | { reserved: true; hostnameNumber: number }
  /** `superseded`: another scheduler reserved at a later epoch already. */
  | { reserved: false; short: ResourceName[] | 'room' | 'superseded' };

/**
 * Reserves if the others' reservations and this one are within the allocatable; an entry of this epoch with these amounts counts as it is.
 * `freeNumber` answers the lowest hostname number that is not among the taken ones.
 */
export function reserve(
  spec: LedgerSpec,
  allocatable: AmountRow,
  wish: PlaceWish,
  freeNumber: (taken: ReadonlySet<number>) => number,
  nowMs: number,
): { spec: LedgerSpec; result: ReserveResult } {
  const entries = spec.reservations ?? [];
  const mine = entries.find(({ instanceUID }) => instanceUID === wish.instanceUid);
  if (mine !== undefined && mine.epoch > wish.epoch) return { spec, result: { reserved: false, short: 'superseded' } };
  if (mine?.epoch === wish.epoch && sameAmounts(mine.amounts, wish.amounts)) {
    return { spec, result: { reserved: true, hostnameNumber: mine.hostnameNumber } };
  }
  const others = entries.filter((entry) => entry !== mine);
  if (others.length >= maxReservations) return { spec, result: { reserved: false, short: 'room' } };
  const short = shortResources(allocatable, sumOf(others), askedRow(wish.amounts));
  if (short.length > 0) return { spec, result: { reserved: false, short } };
  const hostnameNumber = mine?.hostnameNumber ?? freeNumber(new Set(others.map((entry) => entry.hostnameNumber)));
  return { spec: { ...spec, reservations: [...others, toEntry(wish, hostnameNumber, nowMs)] }, result: { reserved: true, hostnameNumber } };
}

function toEntry({ instanceUid, ...wish }: PlaceWish, hostnameNumber: number, nowMs: number): Reservation {
  return { instanceUID: instanceUid, ...wish, hostnameNumber, reservedAt: formatTime(nowMs) };
}

export function sumOf(entries: readonly Reservation[]): AmountRow {
  const sum = new Float64Array(resourceCount);
  for (const { amounts } of entries) addTo(sum, askedRow(amounts));
  return sum;
}

export function sameAmounts(a: Reservation['amounts'], b: Reservation['amounts']): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** Takes entries away that are dead, and empties those of finished instances, which keep their hostname's number. */
export function release(spec: LedgerSpec, dead: readonly Reservation[], finished: readonly Reservation[]): LedgerSpec {
  const among = (list: readonly Reservation[], entry: Reservation): boolean =>
    list.some(({ instanceUID, epoch }) => instanceUID === entry.instanceUID && epoch === entry.epoch);
  const before = spec.reservations ?? [];
  const kept = before.filter((entry) => !among(dead, entry));
  const after = kept.map((entry) => (among(finished, entry) && Object.keys(entry.amounts).length > 0 ? { ...entry, amounts: {} } : entry));
  return after.length === before.length && after.every((entry, index) => entry === before[index]) ? spec : { ...spec, reservations: after };
}

/** Books instances that are bound here without an entry, whether they fit or not: they are here. */
export function addMissing(
  spec: LedgerSpec,
  missing: readonly PlaceWish[],
  numberOf: (wish: PlaceWish, taken: ReadonlySet<number>) => number,
  nowMs: number,
): LedgerSpec {
  return missing.reduce((current, wish) => {
    const entries = current.reservations ?? [];
    const mine = entries.find(({ instanceUID }) => instanceUID === wish.instanceUid);
    if (mine !== undefined && mine.epoch >= wish.epoch) return current;
    const others = entries.filter((entry) => entry !== mine);
    const number = mine?.hostnameNumber ?? numberOf(wish, new Set(others.map(({ hostnameNumber }) => hostnameNumber)));
    return { ...current, reservations: [...others, toEntry(wish, number, nowMs)] };
  }, spec);
}

/**
 * What an entry is worth: `bound` holds a place that is in use, `finished` belongs to an instance that needs no more than its hostname,
 * `waiting` may still be bound, `dead` never can be, and of `unknown` the instance itself was not seen.
 */
export type EntryVerdict = 'bound' | 'finished' | 'waiting' | 'dead' | 'unknown';

export function judgeEntry(entry: Reservation, instance: Instance | undefined, providerUid: string): EntryVerdict {
  // A cache may still show a former object of the same name, so another uid proves nothing.
  if (instance?.metadata.uid !== entry.instanceUID) return 'unknown';
  const { metadata, status } = instance;
  const { assignment, lastEpoch = 0 } = status ?? {};
  if (assignment?.providerUID === providerUid && assignment.epoch === entry.epoch) return isFinished(instance) ? 'finished' : 'bound';
  if (lastEpoch >= entry.epoch || isFinished(instance) || metadata.deletionTimestamp !== undefined) return 'dead';
  return 'waiting';
}

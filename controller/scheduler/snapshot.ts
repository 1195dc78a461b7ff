/**
 * All providers as placement sees them, in columns, kept up to date one change at a time. A provider has a slot as long as it exists; slots
 * of providers that left are used again. Pure: it holds state, but asks nobody.
 */
import { enforcementKinds } from '../../api/enforcement.ts';
import type { EnforcementStatus } from '../../api/enforcement.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import type { OwnerPolicyStatus } from '../../api/owner-policy.ts';
import { conditionTypes } from '../../api/reasons.ts';
import type { Labels } from '../../api/selector.ts';
import { allocatableRow, mostRow, resourceCount } from './amounts.ts';
import type { AmountRow } from './amounts.ts';
import { Book } from './book.ts';
import { pointAt } from './geography.ts';
import { hashText } from './hash.ts';

export type Taint = NonNullable<Provider['spec']['taints']>[number];

const noLabels: Labels = {};
const noTaints: readonly Taint[] = [];

/** What filters and scores may read. Columns are indexed by slot, those of amounts by `slot * resourceCount + resource`. */
export interface SnapshotView {
  /** Slots are below this; some are empty. */
  readonly slots: number;
  readonly size: number;
  readonly present: Uint8Array;
  readonly ready: Uint8Array;
  readonly available: Uint8Array;
  readonly names: readonly string[];
  readonly uids: readonly string[];
  readonly owners: readonly string[];
  readonly regions: readonly string[];
  readonly labels: readonly Labels[];
  readonly taints: readonly (readonly Taint[])[];
  readonly policies: readonly (OwnerPolicyStatus | undefined)[];
  readonly enforcements: readonly (EnforcementStatus | undefined)[];
  /** 1 where the location is known; then x, y and z are a point of the unit sphere. */
  readonly located: Uint8Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly z: Float64Array;
  readonly allocatable: Float64Array;
  readonly reserved: Float64Array;
  readonly most: Float64Array;
  readonly entryCount: Int32Array;
  readonly hash: Uint32Array;
  slotOf(providerName: string): number | undefined;
  /** How many of a namespace's instances have a place, by slot. */
  countsOf(namespace: string): ReadonlyMap<number, number>;
  /** Where the ledgers hold something for an instance. */
  heldBy(instanceUid: string): { slot: number; epoch: number; amounts: AmountRow } | undefined;
}

export class Snapshot implements SnapshotView {
  slots = 0;
  size = 0;
  names: string[] = [];
  uids: string[] = [];
  owners: string[] = [];
  regions: string[] = [];
  labels: Labels[] = [];
  taints: (readonly Taint[])[] = [];
  policies: (OwnerPolicyStatus | undefined)[] = [];
  enforcements: (EnforcementStatus | undefined)[] = [];
  present = new Uint8Array(0);
  ready = new Uint8Array(0);
  available = new Uint8Array(0);
  located = new Uint8Array(0);
  x = new Float64Array(0);
  y = new Float64Array(0);
  z = new Float64Array(0);
  allocatable = new Float64Array(0);
  reserved = new Float64Array(0);
  most = new Float64Array(0);
  entryCount = new Int32Array(0);
  hash = new Uint32Array(0);
  readonly #slotOf = new Map<string, number>();
  readonly #free: number[] = [];
  /** Kept by name, since a ledger may be seen before its provider. */
  readonly #books = new Map<string, Book>();
  readonly #counts = new Map<string, Map<number, number>>();
  readonly #sources = new Map<string, string>();
  /** By provider's name, what was last written to #counts. */
  readonly #counted = new Map<string, ReadonlyMap<string, number>>();
  /** By instance's uid, the names of the providers whose ledger has an entry for it. */
  readonly #holders = new Map<string, Set<string>>();

  slotOf(providerName: string): number | undefined {
    return this.#slotOf.get(providerName);
  }

  countsOf(namespace: string): ReadonlyMap<number, number> {
    return this.#counts.get(namespace) ?? new Map<number, number>();
  }

  heldBy(instanceUid: string): { slot: number; epoch: number; amounts: AmountRow } | undefined {
    let held: { slot: number; epoch: number; amounts: AmountRow } | undefined;
    for (const name of this.#holders.get(instanceUid) ?? []) {
      const slot = this.#slotOf.get(name);
      const entry = slot === undefined ? undefined : this.#books.get(name)?.entryOf(instanceUid, this.uids[slot] ?? '');
      if (slot === undefined || entry === undefined || (held !== undefined && entry.epoch <= held.epoch)) continue;
      held = { slot, epoch: entry.epoch, amounts: entry.amounts };
    }
    return held;
  }

  /** Answers whether anything that placement looks at is another now. */
  setProvider(provider: Provider): boolean {
    const name = provider.metadata.name ?? '';
    const source = relevantText(provider);
    if (this.#sources.get(name) === source) return false;
    this.#sources.set(name, source);
    const slot = this.#slotOf.get(name) ?? this.#take(name);
    this.#write(slot, provider);
    this.#recount(name);
    return true;
  }

  removeProvider(name: string): void {
    const slot = this.#slotOf.get(name);
    if (slot === undefined) return;
    this.#slotOf.delete(name);
    this.#sources.delete(name);
    this.present[slot] = 0;
    this.size -= 1;
    this.#free.push(slot);
    this.#count(name, slot, new Map());
  }

  /** Takes a ledger as seen; an older one than what is known changes nothing. Answers whether room became free. */
  setLedger(ledger: ProviderReservation): boolean {
    const name = ledger.metadata.name ?? '';
    const { freed, added, removed } = this.#bookOf(name).take(ledger);
    this.#hold(name, added, removed);
    this.#recount(name);
    return freed;
  }

  removeLedger(name: string): void {
    this.#hold(name, [], this.#bookOf(name).clear());
    this.#recount(name);
  }

  /** Counts a place that is being reserved, until {@link forget}; what the ledger has for this instance already counts once. */
  assume(providerName: string, instanceUid: string, namespace: string, amounts: AmountRow): void {
    this.#bookOf(providerName).assumed.set(instanceUid, { namespace, amounts });
    this.#recount(providerName);
  }

  forget(providerName: string, instanceUid: string): void {
    if (this.#bookOf(providerName).assumed.delete(instanceUid)) this.#recount(providerName);
  }

  #bookOf(name: string): Book {
    let book = this.#books.get(name);
    if (book === undefined) this.#books.set(name, (book = new Book()));
    return book;
  }

  #take(name: string): number {
    const slot = this.#free.pop() ?? this.slots;
    if (slot === this.slots) this.slots += 1;
    if (this.slots > this.present.length) this.#grow(Math.max(16, this.present.length * 2));
    this.#slotOf.set(name, slot);
    this.present[slot] = 1;
    this.size += 1;
    return slot;
  }

  #grow(capacity: number): void {
    const bytes = (old: Uint8Array): Uint8Array<ArrayBuffer> => {
      const larger = new Uint8Array(capacity);
      larger.set(old);
      return larger;
    };
    const doubles = (old: Float64Array, each: number): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(capacity * each);
      larger.set(old);
      return larger;
    };
    this.present = bytes(this.present);
    this.ready = bytes(this.ready);
    this.available = bytes(this.available);
    this.located = bytes(this.located);
    this.x = doubles(this.x, 1);
    this.y = doubles(this.y, 1);
    this.z = doubles(this.z, 1);
    this.allocatable = doubles(this.allocatable, resourceCount);
    this.reserved = doubles(this.reserved, resourceCount);
    this.most = doubles(this.most, resourceCount);
    const { entryCount, hash } = this;
    this.entryCount = new Int32Array(capacity);
    this.entryCount.set(entryCount);
    this.hash = new Uint32Array(capacity);
    this.hash.set(hash);
  }

  #write(slot: number, provider: Provider): void {
    const { metadata, spec, status } = provider;
    this.names[slot] = metadata.name ?? '';
    this.uids[slot] = metadata.uid ?? '';
    this.hash[slot] = hashText(metadata.uid ?? '');
    this.owners[slot] = spec.owner;
    this.labels[slot] = metadata.labels ?? noLabels;
    this.taints[slot] = spec.taints ?? noTaints;
    this.policies[slot] = status?.ownerPolicy;
    this.enforcements[slot] = status?.enforcement;
    this.ready[slot] = isReady(provider) ? 1 : 0;
    this.available[slot] = isAvailable(provider) ? 1 : 0;
    this.#writeLocation(slot, spec.location ?? {});
    this.allocatable.set(allocatableRow(status?.allocatable), slot * resourceCount);
    this.most.set(mostRow(spec, status?.ownerPolicy?.perInstance), slot * resourceCount);
  }

  #writeLocation(slot: number, { region, latitude, longitude }: NonNullable<Provider['spec']['location']>): void {
    this.regions[slot] = region ?? '';
    this.located[slot] = latitude === undefined || longitude === undefined ? 0 : 1;
    const point = pointAt(latitude ?? 0, longitude ?? 0);
    this.x[slot] = point.x;
    this.y[slot] = point.y;
    this.z[slot] = point.z;
  }

  /** Brings the sums of one provider up to date. */
  #recount(name: string): void {
    const slot = this.#slotOf.get(name);
    if (slot === undefined) return;
    const { sum, entries, namespaces } = this.#bookOf(name).totals(this.uids[slot] ?? '');
    this.reserved.set(sum, slot * resourceCount);
    this.entryCount[slot] = entries;
    this.#count(name, slot, namespaces);
  }

  #count(name: string, slot: number, namespaces: ReadonlyMap<string, number>): void {
    for (const namespace of this.#counted.get(name)?.keys() ?? []) {
      const counts = this.#counts.get(namespace);
      if (counts?.delete(slot) === true && counts.size === 0) this.#counts.delete(namespace);
    }
    for (const [namespace, count] of namespaces) {
      const counts = this.#counts.get(namespace) ?? new Map<number, number>();
      this.#counts.set(namespace, counts.set(slot, count));
    }
    this.#counted.set(name, namespaces);
  }

  #hold(name: string, added: readonly string[], removed: readonly string[]): void {
    for (const uid of added) this.#holders.set(uid, (this.#holders.get(uid) ?? new Set<string>()).add(name));
    for (const uid of removed) {
      const names = this.#holders.get(uid);
      if (names?.delete(name) === true && names.size === 0) this.#holders.delete(uid);
    }
  }
}

/** Nobody takes it away: not its owner, not the machine itself, which may leave, not whoever deletes it. */
function isAvailable({ metadata, spec, status }: Provider): boolean {
  return spec.available !== false && status?.leavingAt === undefined && metadata.deletionTimestamp === undefined;
}

export function isReady(provider: Provider): boolean {
  return provider.status?.conditions?.some(({ type, status }) => type === conditionTypes.ready && status === 'True') ?? false;
}

/** Two providers with the same text are the same to placement. */
function relevantText(provider: Provider): string {
  const { metadata, spec, status } = provider;
  // When hours next change, when the machine was tried and what was seen then do not matter here.
  const policy = { ...status?.ownerPolicy, nextChange: undefined };
  const levels = enforcementKinds.map((kind) => status?.enforcement?.[kind]);
  const { uid, labels, deletionTimestamp } = metadata;
  const { allocatable, leavingAt } = status ?? {};
  return JSON.stringify([uid, labels, deletionTimestamp, spec, allocatable, leavingAt, isReady(provider), policy, levels]);
}

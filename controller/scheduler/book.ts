/** What is given away of one provider: its ledger as last seen, and places that are being reserved right now. Pure. */
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import { addTo, askedRow, resourceCount, sameRow } from './amounts.ts';
import type { AmountRow } from './amounts.ts';

export type Reservation = NonNullable<ProviderReservation['spec']['reservations']>[number];

interface Entry {
  readonly source: Reservation;
  readonly epoch: number;
  readonly namespace: string;
  readonly amounts: AmountRow;
}

export interface Totals {
  sum: AmountRow;
  entries: number;
  /** How many of each namespace's instances have a place here. */
  namespaces: ReadonlyMap<string, number>;
}

/** What a newer ledger brought; `added` and `removed` are uids of instances. */
export interface BookChange {
  /** Whether room may have become free. */
  freed: boolean;
  added: string[];
  removed: string[];
}

export class Book {
  readonly assumed = new Map<string, { namespace: string; amounts: AmountRow }>();
  #entries = new Map<string, Entry>();
  #providerUid = '';
  #ledgerUid = '';
  #version = -1n;

  entryOf(instanceUid: string, providerUid: string): Entry | undefined {
    return providerUid === this.#providerUid ? this.#entries.get(instanceUid) : undefined;
  }

  /** An older version than what is known changes nothing. */
  take(ledger: ProviderReservation): BookChange {
    const version = versionOf(ledger);
    const uid = ledger.metadata.uid ?? '';
    if (uid === this.#ledgerUid && version < this.#version) return { freed: false, added: [], removed: [] };
    const before = this.#entries;
    const now = new Map((ledger.spec.reservations ?? []).map((source) => [source.instanceUID, readEntry(source, before)]));
    this.#ledgerUid = uid;
    this.#version = version;
    this.#providerUid = ledger.spec.providerUID;
    this.#entries = now;
    const removed = [...before.keys()].filter((instanceUid) => !now.has(instanceUid));
    const changed = [...before].some(([instanceUid, { amounts }]) => !sameRow(now.get(instanceUid)?.amounts ?? amounts, amounts));
    return { freed: removed.length > 0 || changed, added: [...now.keys()].filter((instanceUid) => !before.has(instanceUid)), removed };
  }

  /** Answers the instances that had an entry. */
  clear(): string[] {
    const removed = [...this.#entries.keys()];
    this.#entries = new Map();
    this.#ledgerUid = '';
    this.#version = -1n;
    return removed;
  }

  /** A ledger of another provider uid counts as empty: it will be reset. */
  totals(providerUid: string): Totals {
    const sum = new Float64Array(resourceCount);
    const namespaces = new Map<string, number>();
    const count = (namespace: string, amounts: AmountRow): void => {
      addTo(sum, amounts);
      // Finished instances keep their line with no amounts.
      if (amounts.some((amount) => amount > 0)) namespaces.set(namespace, (namespaces.get(namespace) ?? 0) + 1);
    };
    const entries = providerUid === this.#providerUid ? this.#entries : new Map<string, Entry>();
    for (const { namespace, amounts } of entries.values()) count(namespace, amounts);
    let assumedEntries = 0;
    for (const [instanceUid, { namespace, amounts }] of this.assumed) {
      if (entries.has(instanceUid)) continue;
      count(namespace, amounts);
      assumedEntries += 1;
    }
    return { sum, entries: entries.size + assumedEntries, namespaces };
  }
}

/** An entry that did not change is not read again. */
function readEntry(source: Reservation, before: ReadonlyMap<string, Entry>): Entry {
  const known = before.get(source.instanceUID);
  if (known !== undefined && known.epoch === source.epoch && sameAmounts(known.source.amounts, source.amounts)) return known;
  return { source, epoch: source.epoch, namespace: source.namespace, amounts: askedRow(source.amounts) };
}

function sameAmounts(a: Reservation['amounts'], b: Reservation['amounts']): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** The order of an object's versions; 0 for a version that is no number, so that the latest seen wins. */
export function versionOf(ledger: ProviderReservation): bigint {
  const text = ledger.metadata.resourceVersion ?? '';
  return /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}

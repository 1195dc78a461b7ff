/**
 * Writes ledgers by compare-and-set. Changes of one provider that arrive while a PUT is under way share the next one; a change that is alone
 * waits for nobody. Every change is decided on the very content that the PUT compares.
 */
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { apiVersionOf, providerReservations, providers } from '../../api/resource-type.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { WaitingError } from '../../runtime/controller.ts';
import { versionOf } from './book.ts';
import type { LedgerSpec } from './ledger.ts';

/** What a change came to. `doubtful`: the answer would be another if the ledger were another, so it is not believed of a cached one. */
export interface LedgerEdit<T> {
  spec: LedgerSpec;
  result: T;
  doubtful: boolean;
}

export interface LedgerWriterOptions {
  client: Pick<Client, 'get' | 'create' | 'replace'>;
  /** The ledger as an informer has it. */
  readonly cached: (providerName: string) => ProviderReservation | undefined;
  /** What a ledger begins with: entries of the instances that are bound to this provider already. */
  readonly initialSpec: (provider: Provider) => Promise<LedgerSpec>;
  /** Called with every ledger that was read or written. */
  readonly onSeen: (ledger: ProviderReservation) => void;
}

interface Change {
  provider: Provider;
  readonly edit: (spec: LedgerSpec) => LedgerEdit<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Base {
  ledger: ProviderReservation | undefined;
  /** Read from the API in this very pass. */
  fresh: boolean;
}

/** Conflicts in a row before a batch gives up; the work queue tries again later. */
const maxAttempts = 8;
/** Changes in one PUT; bounds the work that one conflict repeats. */
const maxBatch = 128;

export class LedgerWriter {
  readonly #options: LedgerWriterOptions;
  readonly #queues = new Map<string, Change[]>();
  /** Ledgers of our own writes that the informer may not have yet. */
  readonly #written = new Map<string, ProviderReservation>();

  constructor(options: LedgerWriterOptions) {
    this.#options = options;
  }

  /** `edit` is pure, may be called again on another content, and says by answering the same object that nothing changes. */
  async change<T>(provider: Provider, edit: (spec: LedgerSpec) => LedgerEdit<T>): Promise<T> {
    const name = provider.metadata.name ?? '';
    const result = await new Promise<unknown>((resolve, reject) => {
      const change: Change = { provider, edit, resolve, reject };
      const queue = this.#queues.get(name);
      if (queue !== undefined) {
        queue.push(change);
        return;
      }
      const created = [change];
      this.#queues.set(name, created);
      void this.#drain(name, created);
    });
    return result as T;
  }

  /** The provider is gone. */
  forget(providerName: string): void {
    this.#written.delete(providerName);
  }

  /** Never rejects: every change hears of its own error. */
  async #drain(name: string, queue: Change[]): Promise<void> {
    while (queue.length > 0) {
      const uid = queue[0]?.provider.metadata.uid;
      const other = queue.findIndex(({ provider }) => provider.metadata.uid !== uid);
      const batch = queue.splice(0, Math.min(maxBatch, other === -1 ? queue.length : other));
      try {
        const results = await this.#write(name, batch);
        batch.forEach(({ resolve }, index) => {
          resolve(results[index]);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#queues.delete(name);
  }

  async #write(name: string, batch: readonly Change[]): Promise<unknown[]> {
    const provider = batch[0]?.provider;
    if (provider === undefined) return [];
    let base = this.#known(name);
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const before = await this.#contentFor(provider, base);
      const { spec, edits } = applyAll(before, batch);
      const unchanged = spec === before && base.ledger !== undefined;
      if (base.fresh || !edits.some(({ doubtful }) => doubtful)) {
        if (unchanged || (await this.#put(provider, base.ledger, spec))) return edits.map(({ result }) => result);
      }
      base = await this.#read(name);
    }
    throw new WaitingError('LedgerContended', `the ledger of ${name} changed ${maxAttempts} times while it was being written`);
  }

  #known(name: string): Base {
    const cached = this.#options.cached(name);
    const written = this.#written.get(name);
    if (written === undefined || cached === undefined) return { ledger: cached ?? written, fresh: false };
    if (cached.metadata.uid === written.metadata.uid && versionOf(cached) < versionOf(written)) return { ledger: written, fresh: false };
    this.#written.delete(name);
    return { ledger: cached, fresh: false };
  }

  async #read(name: string): Promise<Base> {
    this.#written.delete(name);
    try {
      const ledger = await this.#options.client.get(providerReservations, { name });
      this.#options.onSeen(ledger);
      return { ledger, fresh: true };
    } catch (error) {
      if (isNotFound(error)) return { ledger: undefined, fresh: true };
      throw error;
    }
  }

  /** A ledger that is absent, or of a former provider of this name, begins anew; the provider is read first, since our view of it may be old. */
  async #contentFor(provider: Provider, { ledger }: Base): Promise<LedgerSpec> {
    const { name = '', uid = '' } = provider.metadata;
    if (ledger?.spec.providerUID === uid) return ledger.spec;
    const current = await this.#options.client.get(providers, { name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (current?.metadata.uid !== uid) throw new WaitingError('ProviderReplaced', `provider ${name} is gone, or another machine`);
    return this.#options.initialSpec(provider);
  }

  /** Answers false when somebody else was first. */
  async #put(provider: Provider, ledger: ProviderReservation | undefined, spec: LedgerSpec): Promise<boolean> {
    const { client, onSeen } = this.#options;
    const desired = ledgerFor(provider, ledger, spec);
    try {
      const written =
        ledger === undefined ? await client.create(providerReservations, desired) : await client.replace(providerReservations, desired);
      this.#written.set(provider.metadata.name ?? '', written);
      onSeen(written);
      return true;
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) return false;
      throw error;
    }
  }
}

function applyAll(before: LedgerSpec, batch: readonly Change[]): { spec: LedgerSpec; edits: LedgerEdit<unknown>[] } {
  let spec = before;
  const edits = batch.map(({ edit }) => {
    const edited = edit(spec);
    spec = edited.spec;
    return edited;
  });
  return { spec, edits };
}

function ledgerFor(provider: Provider, ledger: ProviderReservation | undefined, spec: LedgerSpec): ProviderReservation {
  const { name = '', uid = '' } = provider.metadata;
  const owner = { apiVersion: apiVersionOf(providers), kind: providers.kind, name, uid };
  const kept = ledger?.metadata ?? {};
  return {
    apiVersion: apiVersionOf(providerReservations),
    kind: providerReservations.kind,
    metadata: { ...kept, name, ownerReferences: [owner] },
    spec,
  };
}

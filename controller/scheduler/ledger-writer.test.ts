import assert from 'node:assert/strict';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { ApiError } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { LedgerWriter } from './ledger-writer.ts';
import type { LedgerEdit } from './ledger-writer.ts';
import type { LedgerSpec } from './ledger.ts';
import { makeLedger, makeProvider } from './scheduler-fixtures.ts';

const provider = makeProvider('desk');

/** One ledger behind compare-and-set, which counts its PUTs. */
class OneLedger {
  stored: ProviderReservation | undefined;
  puts = 0;
  #version = 1;

  put(object: ProviderReservation, isCreate: boolean): ProviderReservation {
    this.puts += 1;
    const isStale = isCreate ? this.stored !== undefined : this.stored?.metadata.resourceVersion !== object.metadata.resourceVersion;
    const reason = isCreate ? 'AlreadyExists' : 'Conflict';
    if (isStale) {
      throw new ApiError(409, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason }, reason);
    }
    this.#version += 1;
    this.stored = { ...object, metadata: { ...object.metadata, uid: 'ledger', resourceVersion: String(this.#version) } };
    return this.stored;
  }

  get client(): Pick<Client, 'get' | 'create' | 'replace'> {
    const answer = async <T extends KubernetesObject>(value: () => unknown): Promise<T> => {
      await new Promise((resolve) => setImmediate(resolve));
      return value() as T;
    };
    const read = (kind: string): unknown => {
      if (kind === 'Provider') return provider;
      if (this.stored === undefined) throw new ApiError(404, undefined, 'not found');
      return this.stored;
    };
    return {
      get: (type) => answer(() => read(type.kind)),
      create: (_, object) => answer(() => this.put(object as unknown as ProviderReservation, true)),
      replace: (_, object) => answer(() => this.put(object as unknown as ProviderReservation, false)),
    };
  }
}

function writerOf(ledger: OneLedger, cached: () => ProviderReservation | undefined): LedgerWriter {
  return new LedgerWriter({
    client: ledger.client,
    cached,
    initialSpec: () => Promise.resolve({ providerUID: provider.metadata.uid!, reservations: [] }),
    onSeen: () => undefined,
  });
}

function adding(uid: string): (spec: LedgerSpec) => LedgerEdit<number> {
  return (spec) => {
    const [entry] = makeLedger(provider, [{ instanceUID: uid, amounts: {} }]).spec.reservations!;
    const reservations = [...(spec.reservations ?? []), entry!];
    return { spec: { ...spec, reservations }, result: reservations.length, doubtful: false };
  };
}

describe('LedgerWriter', () => {
  it('writes a change that is alone at once, and those that come meanwhile together', async () => {
    const ledger = new OneLedger();
    const writer = writerOf(ledger, () => undefined);
    const results = await Promise.all(Array.from({ length: 50 }, (_, index) => writer.change(provider, adding(`i${index}`))));
    assert.deepEqual(
      results,
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    assert.equal(ledger.stored?.spec.reservations?.length, 50);
    assert.equal(ledger.puts, 2);
    assert.equal(ledger.stored.metadata.ownerReferences?.[0]?.uid, provider.metadata.uid);
  });

  it('decides anew on what another writer left, and loses nothing of either', async () => {
    const ledger = new OneLedger();
    const writers = [writerOf(ledger, () => undefined), writerOf(ledger, () => undefined)];
    await Promise.all(Array.from({ length: 20 }, (_, index) => writers[index % 2]!.change(provider, adding(`i${index}`))));
    assert.equal(new Set(ledger.stored?.spec.reservations?.map(({ instanceUID }) => instanceUID)).size, 20);
  });

  it('does not believe a doubtful answer of a copy that lags', async () => {
    const ledger = new OneLedger();
    ledger.put(makeLedger(provider, []), true);
    const old = makeLedger(provider, [{ amounts: {} }]);
    const count = await writerOf(ledger, () => old).change(provider, (spec) => {
      const result = spec.reservations?.length ?? 0;
      return { spec, result, doubtful: result > 0 };
    });
    assert.equal(count, 0);
  });

  it('empties a ledger of a former provider of the same name', async () => {
    const ledger = new OneLedger();
    const former = makeLedger(makeProvider('desk', { uid: 'former' }), [{ amounts: { cpu: 1 } }]);
    const stored = ledger.put(former, true);
    assert.equal(await writerOf(ledger, () => stored).change(provider, adding('new')), 1);
    assert.equal(ledger.stored?.spec.providerUID, provider.metadata.uid);
    assert.equal(ledger.stored?.metadata.ownerReferences?.[0]?.uid, provider.metadata.uid);
  });

  it('tells every change of a batch that could not be written', async () => {
    const ledger = new OneLedger();
    const client = { ...ledger.client, create: () => Promise.reject(new Error('the network is gone')) };
    const writer = new LedgerWriter({
      client,
      cached: () => undefined,
      initialSpec: () => Promise.resolve({ providerUID: provider.metadata.uid! }),
      onSeen: () => undefined,
    });
    const results = await Promise.allSettled([writer.change(provider, adding('a')), writer.change(provider, adding('b'))]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
  });
});

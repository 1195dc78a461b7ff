/**
 * The contract of `apiserver/store/store.ts`, rule by rule, on a real etcd. `describeStoreContract` is for every implementation of the port;
 * `describeStoreFaults` is what they owe when etcd dies, stops, or is out of reach.
 */
import assert from 'node:assert/strict';
import { createEtcdStore } from '../../apiserver/store/etcd-store.ts';
import { CompactedError, FutureRevisionError, type Store, ValueTooLargeError, type WriteResult } from '../../apiserver/store/store.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { describeStoreFaults } from './store-faults.ts';
import { describeChange, follow, text } from './watch-log.ts';

export type MakeStore = (endpoint: string, options?: { requestTimeoutMs?: number; keyPrefix?: string }) => Store;

const makeEtcdStore: MakeStore = (endpoint, options = {}) => createEtcdStore({ endpoints: [endpoint], ...options });

export function describeStoreContract(name: string, makeStore: MakeStore): void {
  describe(`${name} keeps the store's contract`, function () {
    this.timeout(30_000);
    let etcd: TestEtcd;
    let store: Store;
    let testNumber = 0;
    /** A prefix of its own for each test, since all share one etcd. */
    let at: string;

    before(async () => {
      etcd = await startEtcd({ unsafeNoFsync: true });
      store = makeStore(etcd.endpoint);
    });
    after(async () => {
      await store.close();
      await etcd.stop();
    });
    beforeEach(() => {
      testNumber += 1;
      at = `/t${testNumber}/`;
    });

    const create = async (key: string, value = ''): Promise<number> => succeeded(await store.create(at + key, Buffer.from(value)));
    const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

    it('rule 1: every write has a revision of its own, greater than those acknowledged before it was sent', async () => {
      let last = await store.currentRevision();
      assert.ok(last > 0);
      for (const round of range(20)) {
        const revisions = await Promise.all(range(10).map((index) => create(`${round}-${index}`)));
        assert.equal(new Set(revisions).size, 10);
        assert.ok(Math.min(...revisions) > last);
        last = Math.max(...revisions);
      }
      assert.ok((await store.currentRevision()) >= last);
    });

    it('rule 2: create() succeeds only where there is nothing, replace() and remove() only at the expected revision', async () => {
      const key = `${at}a`;
      const first = await create('a', '1');
      assert.deepEqual(current(await store.create(key, Buffer.from('2'))), { value: '1', createRevision: first, modRevision: first });
      const second = succeeded(await store.replace(key, Buffer.from('2'), first));
      assert.deepEqual(current(await store.replace(key, Buffer.from('3'), first)), {
        value: '2',
        createRevision: first,
        modRevision: second,
      });
      assert.deepEqual(current(await store.remove(key, first)), { value: '2', createRevision: first, modRevision: second });
      const third = succeeded(await store.remove(key, second));
      assert.ok(third > second);
      assert.deepEqual(current(await store.remove(key, second)), undefined);
      assert.deepEqual(current(await store.replace(key, Buffer.from('4'), second)), undefined);
      const fourth = await create('a', '5');
      const { entry } = await store.get(key);
      assert.deepEqual([entry?.createRevision, entry?.modRevision], [fourth, fourth]);
    });

    it('rule 2: a replacement or removal that expects no revision is refused before it is sent', async () => {
      await assert.rejects(store.replace(`${at}a`, Buffer.from('1'), 0), RangeError);
      await assert.rejects(store.remove(`${at}a`, 0), RangeError);
      assert.equal((await store.get(`${at}a`)).entry, undefined);
    });

    it('rule 2: of 20 racers exactly one creates, one replaces and one removes, and the others learn what is there', async () => {
      const key = `${at}a`;
      const race = async (compete: (racer: number) => Promise<WriteResult>): Promise<number> => {
        const results = await Promise.all(range(20).map(compete));
        const winners = results.filter((result) => result.succeeded);
        assert.equal(winners.length, 1);
        const won = winners[0]!.revision;
        const { entry } = await store.get(key);
        if (entry !== undefined) assert.equal(entry.modRevision, won);
        for (const result of results) if (!result.succeeded) assert.equal(result.current?.modRevision, entry?.modRevision);
        return won;
      };
      const created = await race((racer) => store.create(key, Buffer.from(`c${racer}`)));
      const replaced = await race((racer) => store.replace(key, Buffer.from(`r${racer}`), created));
      await race(() => store.remove(key, replaced));
      assert.equal((await store.get(key)).entry, undefined);
    });

    it('rule 2: 10 writers that each count to 10 with compare-and-set count to 100', async () => {
      const key = `${at}counter`;
      await create('counter', '0');
      const countOnce = async (): Promise<void> => {
        for (;;) {
          const { entry } = await store.get(key);
          const next = Buffer.from(String(Number(text(entry!.value)) + 1));
          if ((await store.replace(key, next, entry!.modRevision)).succeeded) return;
        }
      };
      await Promise.all(
        range(10).map(async () => {
          for (let times = 0; times < 10; times += 1) await countOnce();
        }),
      );
      assert.equal(text((await store.get(key)).entry!.value), '100');
    });

    it('rule 3: a read has every write up to its revision and none after it', async () => {
      const written: number[] = [];
      const writers = range(4).map(async (writer) => {
        for (const index of range(50)) written.push(await create(`${writer}-${index}`));
      });
      const reads: { revision: number; seen: number[] }[] = [];
      while (written.length < 150) {
        const { entries, revision } = await store.list(at);
        reads.push({ revision, seen: entries.map(({ modRevision }) => modRevision) });
      }
      await Promise.all(writers);
      for (const { revision, seen } of reads) {
        const expected = written.filter((each) => each <= revision).sort((a, b) => a - b);
        assert.deepEqual(
          seen.sort((a, b) => a - b),
          expected,
        );
      }
      assert.ok(reads.length > 1);
    });

    it('rule 4: pages at the first page’s revision are one consistent picture while others write', async () => {
      for (const index of range(25)) await create(`k${String(index).padStart(2, '0')}`, 'old');
      const keys: string[] = [];
      const first = await store.list(at, { limit: 10 });
      assert.deepEqual([first.entries.length, first.more, first.remaining], [10, true, 15]);
      let page = first;
      for (;;) {
        keys.push(...page.entries.map(({ key }) => key));
        assert.deepEqual(new Set(page.entries.map(({ value }) => text(value))), new Set(['old']));
        if (!page.more) break;
        const victim = await store.get(`${at}k2${keys.length / 10}`);
        succeeded(await store.remove(victim.entry!.key, victim.entry!.modRevision));
        await create(`k1${keys.length}-new`);
        page = await store.list(at, { limit: 10, startKey: `${keys.at(-1)!}\0`, revision: first.revision });
        assert.equal(page.revision, first.revision);
        assert.equal(page.remaining, 25 - keys.length - page.entries.length);
      }
      assert.deepEqual(
        keys,
        range(25).map((index) => `${at}k${String(index).padStart(2, '0')}`),
      );
    });

    it('rule 4: a list without a limit is whole, in byte order and of one revision, however many pages it takes inside', async () => {
      const names = range(1_200).map((index) => `${(index * 7_919) % 1_200}-é-${index}`);
      for (const start of range(12)) await Promise.all(names.slice(start * 100, start * 100 + 100).map((each) => create(each)));
      const stop = new AbortController();
      const writer = (async () => {
        for (let index = 0; !stop.signal.aborted; index += 1) await create(`zz-${index}`);
      })();
      const { entries, more, remaining, revision } = await store.list(at);
      stop.abort();
      await writer;
      assert.deepEqual([more, remaining], [false, 0]);
      assert.ok(entries.every(({ modRevision }) => modRevision <= revision));
      const keys = entries.map(({ key }) => key);
      assert.deepEqual(
        keys.filter((key) => !key.includes('zz-')),
        names.map((each) => at + each).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      const again = await store.list(at, { revision });
      assert.deepEqual(
        again.entries.map(({ key }) => key),
        keys,
      );
      assert.equal((await store.list(at, { limit: 1_100 })).entries.length, 1_100);
    });

    it('rule 4: a prefix covers nothing beside it, and a list starts at its start key', async () => {
      for (const key of ['a/1', 'a/2', 'a/3', 'ab/1', 'a']) await create(key);
      const keys = async (startKey?: string): Promise<string[]> =>
        (await store.list(`${at}a/`, startKey === undefined ? {} : { startKey })).entries.map(({ key }) => key.slice(at.length));
      assert.deepEqual(await keys(), ['a/1', 'a/2', 'a/3']);
      assert.deepEqual(await keys(`${at}a/2`), ['a/2', 'a/3']);
      await assert.rejects(keys(`${at}ab/`), RangeError);
      assert.deepEqual((await store.list(`${at}none/`)).entries, []);
    });

    it('rule 4: a list answers as of an older revision, and says when it is compacted or not reached yet', async () => {
      const first = await create('a', '1');
      const second = succeeded(await store.replace(`${at}a`, Buffer.from('2'), first));
      assert.equal(text((await store.list(at, { revision: first })).entries[0]!.value), '1');
      await store.compact(second);
      await assert.rejects(
        store.list(at, { revision: first }),
        (error) => error instanceof CompactedError && error.compactRevision === second,
      );
      assert.equal(text((await store.list(at, { revision: second })).entries[0]!.value), '2');
      // Compacting what is compacted already changes nothing.
      await store.compact(first);
      const now = await store.currentRevision();
      await assert.rejects(
        store.list(at, { revision: now + 1_000 }),
        (error) => error instanceof FutureRevisionError && error.currentRevision === now,
      );
      await assert.rejects(store.compact(now + 1_000), FutureRevisionError);
    });

    it('rule 5: 2,000 updates of 10 keys come to 5 watchers complete, in order, each once, with what was there before', async () => {
      const begin = await store.currentRevision();
      const watchers = range(4).map(() => follow(store, at, begin));
      const log: string[] = [];
      await Promise.all(
        range(10).map(async (key) => {
          let revision = 0;
          for (const round of range(200)) {
            const name = `${at}${key}`;
            const value = Buffer.from(`v${round}`);
            if (round % 50 === 49) {
              revision = succeeded(await store.remove(name, revision));
              log.push(`${revision} delete ${name}`);
              revision = 0;
            } else {
              revision = succeeded(revision === 0 ? await store.create(name, value) : await store.replace(name, value, revision));
              log.push(`${revision} put ${name}=v${round}`);
            }
          }
        }),
      );
      const last = await store.currentRevision();
      // This one finds all of it in the past.
      watchers.push(follow(store, at, begin));
      log.sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
      for (const watcher of watchers) {
        await watcher.reach(last);
        await watcher.close();
        assert.deepEqual(watcher.changes.map(describeChange), log);
        const before = new Map<string, number>();
        for (const change of watcher.changes) {
          const key = change.type === 'put' ? change.entry.key : change.key;
          assert.equal(change.previous?.modRevision, before.get(key));
          if (change.type === 'put') before.set(key, change.entry.modRevision);
          else before.delete(key);
        }
      }
    });

    it('rule 5: a watch delivers what is under its prefix and after its revision, nothing else', async () => {
      await create('a/0');
      const begin = await create('a/1');
      const watch = follow(store, `${at}a/`, begin);
      await create('ab/1');
      await create('a');
      const last = await create('a/2');
      await watch.reach(last);
      await watch.close();
      assert.deepEqual(watch.changes.map(describeChange), [`${last} put ${at}a/2=`]);
    });

    it('rule 5: a watch from the last revision of another goes on where that one stopped', async () => {
      const begin = await store.currentRevision();
      const writing = (async () => {
        for (const index of range(300)) await create(String(index));
      })();
      const seen: string[] = [];
      let after = begin;
      while (seen.length < 300) {
        const watch = follow(store, at, after);
        await watch.reach(after + 1);
        await watch.close();
        seen.push(...watch.changes.map(describeChange));
        after = watch.revisions.at(-1)!;
      }
      await writing;
      assert.deepEqual(
        seen.map((each) => each.split(' put ')[1]),
        range(300).map((index) => `${at}${index}=`),
      );
    });

    it('rule 5: compaction leaves a watch alone that has what it needs, and ends one that has not', async () => {
      const begin = await create('a', '1');
      const running = follow(store, at, begin - 1);
      const last = succeeded(await store.replace(`${at}a`, Buffer.from('2'), begin));
      await running.reach(last);
      await store.compact(last);
      const tooLate = follow(store, at, begin - 1);
      const error = await tooLate.end();
      assert.ok(error instanceof CompactedError);
      assert.equal(error.compactRevision, last);
      assert.deepEqual(tooLate.changes, []);
      await running.reach(await create('b'));
      await running.close();
      await tooLate.close();
      assert.deepEqual([running.ends.length, tooLate.ends.length], [0, 1]);
    });

    it('rule 5: after close() nothing more is delivered and no end is reported', async () => {
      const begin = await store.currentRevision();
      const [closed, witness] = [follow(store, at, begin), follow(store, at, begin)];
      await closed.reach(await create('a'));
      await closed.close();
      await witness.reach(await create('b'));
      await witness.close();
      assert.deepEqual([closed.changes.length, closed.ends.length], [1, 0]);
    });

    it('rule 5: a callback that throws ends its watch, with the error', async () => {
      const ends: Error[] = [];
      const begin = await store.currentRevision();
      const watch = store.watch({
        prefix: at,
        afterRevision: begin,
        onChanges: () => {
          throw new Error('a bug');
        },
        onEnd: (error) => ends.push(error),
      });
      const witness = follow(store, at, begin);
      await create('a');
      await witness.reach(await create('b'));
      await watch.close();
      await witness.close();
      assert.deepEqual(
        ends.map(({ message }) => message),
        ['a bug'],
      );
    });

    it('a time to live: the entry lasts that long, then a watch sees it deleted; what expires in one transaction stands together', async () => {
      const begin = await store.currentRevision();
      const watch = follow(store, at, begin);
      const startedAt = performance.now();
      // Large, so that etcd breaks the revision in which they expire into fragments.
      const large = Buffer.alloc(3 * 1024 * 1024 - 1_000, 'x');
      for (const key of ['a', 'b', 'c']) succeeded(await store.create(at + key, large, { timeToLiveSeconds: 1 }));
      const kept = succeeded(await store.create(`${at}kept`, large, { timeToLiveSeconds: 1 }));
      const last = succeeded(await store.replace(`${at}kept`, Buffer.from('for good'), kept));
      await watch.reach(last + 1, 15_000);
      assert.ok(performance.now() - startedAt > 1_000);
      await watch.close();
      const expired = watch.changes.filter(({ type }) => type === 'delete');
      assert.deepEqual(
        expired.map((change) => (change.type === 'delete' ? `${change.key} ${change.previous?.value.length ?? 0}` : '')).sort(),
        ['a', 'b', 'c'].map((key) => `${at}${key} ${large.length}`),
      );
      assert.equal(watch.revisions.at(-1), last + 1);
      assert.deepEqual(
        (await store.list(at)).entries.map(({ key }) => key),
        [`${at}kept`],
      );
      await assert.rejects(store.create(`${at}d`, Buffer.from(''), { timeToLiveSeconds: 0 }), RangeError);
    });

    it('values of 3 MiB are kept byte for byte, also many in one list and in one watch that catches up', async () => {
      const begin = await store.currentRevision();
      const values = range(5).map((index) => Buffer.alloc(3 * 1024 * 1024, `${index}é\0`));
      for (const [index, value] of values.entries()) succeeded(await store.create(`${at}${index}`, value));
      const { entries } = await store.list(at);
      const watch = follow(store, at, begin);
      await watch.reach(entries.at(-1)!.modRevision);
      await watch.close();
      for (const [index, value] of values.entries()) {
        assert.ok(value.equals(entries[index]!.value));
        const change = watch.changes[index]!;
        assert.ok(change.type === 'put' && value.equals(change.entry.value));
      }
    });

    it('a value that is too large for etcd is refused by that name, and nothing is stored', async () => {
      await assert.rejects(store.create(`${at}a`, Buffer.alloc(5 * 1024 * 1024)), ValueTooLargeError);
      await assert.rejects(store.create(`${at}a`, Buffer.alloc(4 * 1024 * 1024 + 1_000)), ValueTooLargeError);
      assert.equal((await store.get(`${at}a`)).entry, undefined);
    });

    it('stores with different key prefixes on one etcd do not see each other', async () => {
      const [one, two] = [makeStore(etcd.endpoint, { keyPrefix: '/one' }), makeStore(etcd.endpoint, { keyPrefix: '/two' })];
      const begin = await one.currentRevision();
      const watch = follow(one, '/', begin);
      succeeded(await two.create('/a', Buffer.from('2')));
      const last = succeeded(await one.create('/a', Buffer.from('1')));
      await watch.reach(last);
      await watch.close();
      assert.deepEqual(watch.changes.map(describeChange), [`${last} put /a=1`]);
      assert.deepEqual(
        (await one.list('/')).entries.map(({ key, value }) => [key, text(value)]),
        [['/a', '1']],
      );
      await one.close();
      await two.close();
    });
  });
}

export function succeeded(result: WriteResult): number {
  assert.ok(result.succeeded, 'the write lost its compare');
  return result.revision;
}

function current(result: WriteResult): { value: string; createRevision: number; modRevision: number } | undefined {
  assert.ok(!result.succeeded, 'the write won its compare');
  if (result.current === undefined) return undefined;
  const { value, createRevision, modRevision } = result.current;
  return { value: text(value), createRevision, modRevision };
}

describeStoreContract('the etcd store', makeEtcdStore);
describeStoreFaults('the etcd store', makeEtcdStore);

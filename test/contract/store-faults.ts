import assert from 'node:assert/strict';
import { CompactedError, OutcomeUnknownError, type Store, StoreUnavailableError } from '../../apiserver/store/store.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { describeChange, follow, text } from './watch-log.ts';

/** What every implementation of the store owes when etcd dies, stops, fills up, or is out of reach. */
export function describeStoreFaults(name: string, makeStore: (endpoint: string, options?: { requestTimeoutMs?: number }) => Store): void {
  describe(`${name} when etcd fails`, function () {
    this.timeout(60_000);
    let etcd: TestEtcd;
    let proxy: TcpProxy;
    /** Reaches etcd without the proxy. */
    let direct: Store;
    let store: Store;

    beforeEach(async () => {
      etcd = await startEtcd();
      proxy = await startTcpProxy(etcd.endpoint);
      direct = makeStore(etcd.endpoint, { requestTimeoutMs: 3_000 });
      store = makeStore(proxy.endpoint, { requestTimeoutMs: 3_000 });
    });
    afterEach(async () => {
      etcd.resume();
      await Promise.all([store.close(), direct.close()]);
      await proxy.close();
      await etcd.stop();
    });

    const value = Buffer.from('v');

    /** Runs the call, asserts that it fails within the deadline, and answers the error's name. */
    async function failure(call: Promise<unknown>): Promise<string> {
      const startedAt = performance.now();
      const error: unknown = await call.then(
        () => assert.fail('it succeeded'),
        (reason: unknown) => reason,
      );
      const tookMs = performance.now() - startedAt;
      assert.ok(tookMs < 4_000, `it took ${tookMs} ms`);
      return error instanceof Error ? error.name : String(error);
    }

    it('rule 6: a write whose answer is lost throws OutcomeUnknownError, and is sent once', async () => {
      await store.create('/a', value);
      proxy.swallowAnswers();
      const call = store.create('/b', value);
      await eventually(async () => assert.ok((await direct.get('/b')).entry !== undefined, 'absent'), { timeoutMs: 2_000, what: '/b' });
      const before = proxy.bytesFromClients;
      proxy.cut();
      assert.equal(await failure(call), 'OutcomeUnknownError');
      proxy.restore();
      assert.ok((await store.get('/b')).entry !== undefined);
      assert.ok(proxy.bytesFromClients > before);
      const { entry, revision } = await direct.get('/b');
      assert.deepEqual([entry?.createRevision, entry?.modRevision], [revision, revision]);
    });

    it('rule 6: a write that cannot be sent throws StoreUnavailableError, and so does a read', async () => {
      await store.create('/a', value);
      proxy.cut();
      // The client learns here that its connection is gone; what it sent before that would be of unknown outcome.
      assert.equal(await failure(store.get('/a')), 'StoreUnavailableError');
      assert.deepEqual(
        await Promise.all([
          failure(store.create('/b', value)),
          failure(store.replace('/a', value, 2)),
          failure(store.remove('/a', 2)),
          failure(store.create('/c', value, { timeToLiveSeconds: 10 })),
          failure(store.get('/a')),
          failure(store.list('/')),
          failure(store.currentRevision()),
          failure(store.compact(1)),
        ]),
        Array.from({ length: 8 }, () => 'StoreUnavailableError'),
      );
      proxy.restore();
      assert.equal((await store.list('/')).entries.length, 1);
    });

    it('a read that loses its connection is asked again within its deadline', async () => {
      await store.create('/a', value);
      proxy.swallowAnswers();
      const sentBefore = proxy.bytesFromClients;
      const call = store.get('/a');
      await eventually(() => assert.ok(proxy.bytesFromClients > sentBefore, 'nothing'), {
        timeoutMs: 2_000,
        intervalMs: 5,
        what: 'the read to be sent',
      });
      proxy.cut();
      proxy.restore();
      assert.equal(text((await call).entry!.value), 'v');
    });

    it('rule 5: a watch that was cut off while its revisions were compacted ends with CompactedError', async () => {
      const watch = follow(store, '/', 0);
      await direct.create('/a', value);
      await watch.reach(2);
      proxy.cut();
      await direct.create('/b', value);
      await direct.create('/c', value);
      await direct.compact(4);
      proxy.restore();
      const error = await watch.end();
      assert.ok(error instanceof CompactedError);
      assert.equal(error.compactRevision, 4);
      assert.deepEqual(watch.changes.map(describeChange), ['2 put /a=v']);
      await watch.close();
    });

    it('rule 5: a watch that was cut off goes on from what it delivered last, though all before was compacted', async () => {
      const watch = follow(store, '/', 0);
      const first = await direct.create('/a', value);
      await watch.reach(first.revision);
      proxy.cut();
      await direct.compact(first.revision);
      const second = await direct.create('/b', value);
      proxy.restore();
      await watch.reach(second.revision);
      await watch.close();
      assert.deepEqual(watch.revisions, [first.revision, second.revision]);
      assert.deepEqual(watch.ends, []);
    });

    it('rule 5: a watch whose connection falls silent is resumed within 15 s and misses nothing', async () => {
      const watch = follow(store, '/', 0);
      await direct.create('/0', value);
      await watch.reach(2);
      proxy.silenceOpenConnections();
      let last = 0;
      for (const index of [1, 2, 3]) last = (await direct.create(`/${index}`, value)).revision;
      await watch.reach(last, 15_000);
      await watch.close();
      assert.deepEqual(
        watch.changes.map(describeChange),
        [0, 1, 2, 3].map((index) => `${index + 2} put /${index}=v`),
      );
    });

    it('rules 1, 5, 6: etcd killed three times amid writes and watches loses no acknowledged write, repeats none, reorders none', async () => {
      const watches = [follow(direct, '/w/', 0), follow(store, '/w/', 0)];
      const acknowledged: { key: string; revision: number }[] = [];
      const unknown = new Set<string>();
      let stop = false;
      const writers = [0, 1, 2, 3].map(async (writer) => {
        let last = 0;
        for (let index = 0; !stop; index += 1) {
          const key = `/w/${writer}/${String(index).padStart(6, '0')}`;
          try {
            const result = await direct.create(key, value);
            assert.ok(result.succeeded, `${key} was there already`);
            assert.ok(result.revision > last, `revision ${result.revision} came after ${last}`);
            last = result.revision;
            acknowledged.push({ key, revision: last });
          } catch (error) {
            if (error instanceof OutcomeUnknownError) unknown.add(key);
            else if (!(error instanceof StoreUnavailableError)) throw error;
          }
        }
      });
      for (const round of [1, 2, 3]) {
        const enough = acknowledged.length + 200;
        await eventually(() => assert.ok(acknowledged.length >= enough, `${acknowledged.length} of ${enough}`), {
          timeoutMs: 15_000,
          what: `writes of round ${round}`,
        });
        await etcd.kill('SIGKILL');
        await etcd.restart();
      }
      const enough = acknowledged.length + 200;
      await eventually(() => assert.ok(acknowledged.length >= enough), { timeoutMs: 15_000, what: 'writes after the last restart' });
      stop = true;
      await Promise.all(writers);

      const { entries } = await direct.list('/w/');
      const stored = new Map(entries.map(({ key, modRevision }) => [key, modRevision]));
      for (const { key, revision } of acknowledged) assert.equal(stored.get(key), revision, key);
      const surplus = [...stored.keys()].filter((key) => !acknowledged.some((each) => each.key === key));
      for (const key of surplus) assert.ok(unknown.has(key), `${key} was stored although its write said that nothing was`);

      const expected = entries.map(({ key, modRevision }) => ({ key, modRevision })).sort((a, b) => a.modRevision - b.modRevision);
      for (const watch of watches) {
        await watch.reach(expected.at(-1)!.modRevision);
        await watch.close();
        assert.deepEqual(
          watch.changes.map((change) =>
            change.type === 'put' ? { key: change.entry.key, modRevision: change.entry.modRevision } : change,
          ),
          expected,
        );
        assert.deepEqual(watch.ends, []);
      }
    });

    it('calls on a paused etcd fail within their deadline, writes as unknown; all goes on when it is resumed', async () => {
      const watch = follow(direct, '/', 0);
      await watch.reach((await direct.create('/a', value)).revision);
      etcd.pause();
      assert.deepEqual(
        await Promise.all([
          failure(direct.create('/b', value)),
          failure(direct.replace('/a', value, 2)),
          failure(direct.get('/a')),
          failure(direct.list('/')),
          failure(direct.currentRevision()),
        ]),
        ['OutcomeUnknownError', 'OutcomeUnknownError', 'StoreUnavailableError', 'StoreUnavailableError', 'StoreUnavailableError'],
      );
      etcd.resume();
      const last = await eventually(async () => (await direct.create('/c', value)).revision, { timeoutMs: 5_000, what: 'a write' });
      await watch.reach(last);
      await watch.close();
      // Whatever became of the writes in between: the watch saw exactly what is there.
      const seen = new Map(
        watch.changes.map((change) => (change.type === 'put' ? [change.entry.key, change.entry.modRevision] : [change.key, 0])),
      );
      const { entries } = await direct.list('/');
      assert.deepEqual(new Map(entries.map(({ key, modRevision }) => [key, modRevision])), seen);
    });

    it('close() ends watches and calls, also of an etcd that is away', async () => {
      await store.create('/a', value);
      const watch = follow(store, '/', 0);
      proxy.cut();
      const call = failure(store.get('/a'));
      await store.close();
      assert.equal(await call, 'StoreUnavailableError');
      assert.equal(await failure(store.create('/b', value)), 'StoreUnavailableError');
      assert.deepEqual(watch.ends, []);
    });
  });

  describe(`${name} when etcd is full`, function () {
    this.timeout(30_000);

    it('says so, says of each write truly whether it may have been stored, and still reads', async () => {
      const etcd = await startEtcd({ unsafeNoFsync: true, quotaBackendBytes: 24 * 1024 * 1024 });
      const store = makeStore(etcd.endpoint);
      try {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 24 }, (_, index) => store.create(`/${index}`, Buffer.alloc(2 * 1024 * 1024))),
        );
        const stored = new Set((await store.list('/')).entries.map(({ key }) => key));
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome.status === 'fulfilled') assert.ok(stored.has(`/${index}`));
          else if (outcome.reason instanceof StoreUnavailableError) assert.ok(!stored.has(`/${index}`));
          else assert.ok(outcome.reason instanceof OutcomeUnknownError);
        }
        // On a slow machine some of them did not even get there: until it is full.
        const isFull = (error: unknown): boolean =>
          error instanceof StoreUnavailableError && error.message.includes('--quota-backend-bytes');
        let refusal: unknown;
        for (let index = 0; index < 24 && !isFull(refusal); index += 1) {
          refusal = await store.create(`/more-${index}`, Buffer.alloc(2 * 1024 * 1024)).catch((error: unknown) => error);
        }
        assert.ok(isFull(refusal), String(refusal));
        await assert.rejects(store.create('/last', Buffer.alloc(1)), isFull);
      } finally {
        await store.close();
        await etcd.stop();
      }
    });
  });
}

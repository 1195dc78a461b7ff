/** What lists and watches mean, against a real etcd: consistency, pages, selectors, resuming, and what survives restarts and compaction. */
import assert from 'node:assert/strict';
import type { Catalogue } from '../../apiserver/registry/catalogue.ts';
import type { ListOptions, ObjectList, ResourceOperations, WatchOptions } from '../../apiserver/registry/resource.ts';
import { StatusError } from '../../apiserver/registry/status-error.ts';
import { createEtcdStore } from '../../apiserver/store/etcd-store.ts';
import { CompactedError, type Store, type WatchOptions as StoreWatchOptions } from '../../apiserver/store/store.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import {
  contentOf,
  install,
  machine,
  machinesDefinition,
  operationsOf,
  RecordedWatch,
  refusal,
  startCatalogue,
  writeOptions as write,
} from '../support/registry.ts';

const namesOf = (list: ObjectList): string[] => list.items.map((item) => contentOf(item).metadata.name ?? '');

describe('the registry, reading', () => {
  let etcd: TestEtcd;
  let store: Store;
  let catalogue: Catalogue;
  let machines: ResourceOperations;
  let namespaces: ResourceOperations;
  /** Ends the catalogue's watch on the store as if the past had been compacted, and begins the next one only after `meanwhile`. */
  let interrupt: (meanwhile: () => Promise<void>) => Promise<void>;
  let serial = 0;
  let namespace = '';

  before(async () => {
    etcd = await startEtcd({ unsafeNoFsync: true });
    store = createEtcdStore({ endpoints: [etcd.endpoint] });
    const fragile = interruptibleStore(store);
    interrupt = fragile.interrupt;
    catalogue = await startCatalogue(fragile.store, { bookmarkIntervalMs: 50, cacheLimits: { maxEvents: 50 } });
    machines = await install(catalogue, machinesDefinition());
    namespaces = operationsOf(catalogue, '', 'v1', 'namespaces');
  });

  after(async () => {
    await catalogue.close();
    await store.close();
    await etcd.stop();
  });

  beforeEach(async () => {
    serial += 1;
    namespace = `reading-${serial}`;
    await namespaces.create(undefined, { metadata: { name: namespace } }, write());
  });

  const make = (name: string, labels: Record<string, string> = {}, spec: object = {}) =>
    machines.create(namespace, machine(name, spec, { labels }), write());
  const relabel = (name: string, labels: Record<string, string | null>) =>
    machines.patch({ namespace, name }, { type: 'merge', body: { metadata: { labels } } }, write());
  const remove = (name: string) => machines.delete({ namespace, name }, write());
  const list = (options: ListOptions = {}): Promise<ObjectList> => machines.list({ namespace, ...options });
  const watch = (options: Partial<WatchOptions> = {}): Promise<RecordedWatch> => RecordedWatch.open(machines, { namespace, ...options });

  describe('list', () => {
    it('shows every write that was acknowledged before it, at once', async () => {
      for (let index = 0; index < 30; index += 1) {
        const made = await make(`m${String(index).padStart(2, '0')}`);
        const listed = await list();
        assert.equal(listed.items.length, index + 1);
        assert.ok(Number(listed.resourceVersion) >= made.revision);
      }
    });

    it('goes in pages at one revision, with what remains, whatever is written in between', async () => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) await make(name);
      const first = await list({ limit: 2 });
      assert.deepEqual([namesOf(first), first.remainingItemCount], [['a', 'b'], 3]);
      const token: unknown = JSON.parse(Buffer.from(first.continue ?? '', 'base64url').toString());
      assert.deepEqual(token, { v: 'meta.k8s.io/v1', rv: Number(first.resourceVersion), start: 'b\0' });
      await make('bb');
      await remove('d');
      const second = await list({ limit: 2, continue: first.continue ?? '' });
      assert.deepEqual([namesOf(second), second.remainingItemCount, second.resourceVersion], [['c', 'd'], 1, first.resourceVersion]);
      const third = await list({ limit: 2, continue: second.continue ?? '' });
      assert.deepEqual([namesOf(third), third.remainingItemCount, third.continue], [['e'], undefined, undefined]);
    });

    it('fills pages with what a selector leaves, and tells no remaining count', async () => {
      for (let index = 0; index < 20; index += 1) await make(`m${String(index).padStart(2, '0')}`, { odd: String(index % 2) });
      const seen: string[] = [];
      let token: string | undefined;
      do {
        const page = await list({ limit: 3, labelSelector: 'odd=1', ...(token === undefined ? {} : { continue: token }) });
        assert.equal(page.remainingItemCount, undefined);
        assert.ok(page.items.length <= 3);
        seen.push(...namesOf(page));
        token = page.continue;
      } while (token !== undefined);
      assert.deepEqual(seen, ['m01', 'm03', 'm05', 'm07', 'm09', 'm11', 'm13', 'm15', 'm17', 'm19']);
    });

    it('spans namespaces, in the order of keys', async () => {
      await make('z');
      const other = `${namespace}-b`;
      await namespaces.create(undefined, { metadata: { name: other } }, write());
      await machines.create(other, machine('a'), write());
      const all = await machines.list({});
      const places = all.items.map(({ object }) => `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`);
      assert.ok(places.indexOf(`${namespace}/z`) !== -1 && places.indexOf(`${other}/a`) !== -1);
      assert.deepEqual(namesOf(await list()), ['z']);
    });

    for (const [selector, expected] of [
      [{ labelSelector: 'g in (x,z),n notin (1),!foo,n' }, ['l0', 'l2']],
      [{ labelSelector: 'n>0' }, ['l1', 'l2']],
      [{ fieldSelector: 'spec.size=m' }, ['l1']],
      [{ fieldSelector: 'metadata.name=l1' }, ['l1']],
      [{ fieldSelector: 'spec.size!=m', labelSelector: 'n=0' }, ['l0']],
    ] as const) {
      it(`selects by ${JSON.stringify(selector)}`, async () => {
        for (const [index, size] of ['s', 'm', 'l'].entries()) await make(`l${index}`, { g: 'x', n: String(index) }, { size });
        assert.deepEqual(namesOf(await list(selector)), expected);
        assert.deepEqual(namesOf(await list({ ...selector, limit: 500 })), expected);
      });
    }

    it('shows the past at an exact revision', async () => {
      const made = await make('a');
      const later = await make('b');
      const resourceVersion = String(made.revision);
      assert.deepEqual(namesOf(await list({ resourceVersion, resourceVersionMatch: 'Exact' })), ['a']);
      assert.deepEqual(namesOf(await list({ resourceVersion: String(later.revision), resourceVersionMatch: 'NotOlderThan' })), ['a', 'b']);
      assert.deepEqual(namesOf(await list({ resourceVersion, limit: 5 })), ['a']);
      // From the cache, however old: it has seen the later one above.
      assert.deepEqual(namesOf(await list({ resourceVersion: '0', limit: 1 })), ['a', 'b']);
    });

    const tooLarge = { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 };
    const refused: readonly [options: ListOptions, code: number, message: RegExp, details?: object][] = [
      [{ resourceVersionMatch: 'Exact' }, 422, /resourceVersionMatch is forbidden unless resourceVersion is provided$/],
      [{ resourceVersion: '0', resourceVersionMatch: 'Exact' }, 422, /resourceVersionMatch "exact" is forbidden for resourceVersion "0"$/],
      [
        { resourceVersion: '1', resourceVersionMatch: 'Bogus' },
        422,
        /Unsupported value: "Bogus": supported values: "Exact", "NotOlderThan", ""$/,
      ],
      [
        { resourceVersion: 'abc' },
        400,
        /^invalid resource version: resourceVersion: Invalid value: "abc": strconv\.ParseUint: parsing "abc": invalid syntax$/,
      ],
      [{ resourceVersion: '999999999' }, 504, /^Timeout: Too large resource version: 999999999, current: \d+$/, tooLarge],
      [{ resourceVersion: '999999999', resourceVersionMatch: 'Exact' }, 504, /^Timeout: Too large resource version: 999999999/],
      [{ continue: 'bogus' }, 400, /^invalid continue token: continue key is not valid: illegal base64 data at input byte 4$/],
      [
        { continue: 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzQsInN0YXJ0IjoiY1x1MDAwMCJ9', resourceVersion: '5' },
        400,
        /^specifying resource version is not allowed when using continue$/,
      ],
      [{ labelSelector: 'a b' }, 400, /^unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt$/],
      [{ fieldSelector: 'spec.replicas=1' }, 400, /^field label not supported: spec\.replicas$/],
    ];
    for (const [options, code, message, details] of refused) {
      it(`refuses ${JSON.stringify(options)} with ${code}`, async () => {
        const status = await refusal(list(options));
        assert.equal(status.code, code);
        assert.match(status.message ?? '', message);
        if (details !== undefined) assert.deepEqual(status.details, details);
      });
    }

    it('answers an expired token with 410 and a fresh one that goes on from the present', async () => {
      for (const name of ['a', 'b', 'c']) await make(name);
      const first = await list({ limit: 1 });
      const { revision } = await make('d');
      await store.compact(revision);
      const status = await refusal(list({ limit: 1, continue: first.continue ?? '' }));
      assert.deepEqual([status.code, status.reason], [410, 'Expired']);
      assert.match(status.message ?? '', /^The provided continue parameter is too old to display a consistent list result\./);
      assert.deepEqual(namesOf(await list({ continue: status.metadata.continue ?? '' })), ['b', 'c', 'd']);
    });

    it('of a compacted exact revision is 410', async () => {
      const old = await make('a');
      const { revision } = await make('b');
      await store.compact(revision);
      const status = await refusal(list({ resourceVersion: String(old.revision), resourceVersionMatch: 'Exact' }));
      assert.deepEqual([status.code, status.reason], [410, 'Expired']);
    });
  });

  describe('get', () => {
    it('answers from the cache for a revision, and waits for it', async () => {
      const made = await make('a');
      const got = await machines.get({ namespace, name: 'a' }, { resourceVersion: String(made.revision) });
      assert.equal(got.revision, made.revision);
      assert.equal((await refusal(machines.get({ namespace, name: 'a' }, { resourceVersion: '999999999' }))).code, 504);
    });

    it('shares one encoding among readers', async () => {
      const made = await make('a');
      await list({ resourceVersion: String(made.revision) });
      const [one, two] = await Promise.all([machines.get({ namespace, name: 'a' }), machines.get({ namespace, name: 'a' })]);
      assert.equal(one.bytes, two.bytes);
      assert.equal((await list()).items[0]?.bytes, one.bytes);
    });
  });

  describe('watch', () => {
    it('without a revision begins with what is there, then goes on', async () => {
      await make('a');
      for (const options of [{}, { resourceVersion: '0' }]) {
        const watcher = await watch(options);
        await make(`b${serial}`);
        await remove(`b${serial}`);
        await watcher.expect(['ADDED a', `ADDED b${serial}`, `DELETED b${serial}`]);
        watcher.close();
      }
    });

    it('from a revision delivers only what is later, in order, each once', async () => {
      const { revision } = await make('a');
      await make('b');
      await relabel('b', { x: '1' });
      const watcher = await watch({ resourceVersion: String(revision) });
      await remove('b');
      await watcher.expect(['ADDED b', 'MODIFIED b', 'DELETED b']);
      const revisions = watcher.events.map((event) => (event.type === 'BOOKMARK' ? 0 : event.stored.revision));
      assert.deepEqual(
        revisions,
        [...revisions].sort((a, b) => a - b),
      );
      watcher.close();
    });

    it('tells of objects that enter and leave its selector, deletions under the new revision', async () => {
      const watcher = await watch({ labelSelector: 'g=x' });
      await make('a', { g: 'x' });
      await make('never');
      const left = await relabel('a', { g: 'y' });
      await relabel('a', { g: 'y', more: '1' });
      await relabel('a', { g: 'x' });
      await remove('a');
      await watcher.expect(['ADDED a', 'DELETED a', 'ADDED a', 'DELETED a']);
      const [, leaving] = watcher.events;
      assert.ok(leaving?.type === 'DELETED');
      const shown = contentOf(leaving.stored);
      assert.deepEqual([shown.metadata.resourceVersion, shown.metadata.labels], [String(left.stored.revision), { g: 'x' }]);
      watcher.close();
    });

    it('says nothing of a write that changed nothing', async () => {
      await make('a', { g: 'x' });
      const watcher = await watch();
      await relabel('a', { g: 'x' });
      await make('b');
      await watcher.expect(['ADDED a', 'ADDED b']);
      watcher.close();
    });

    it('marks the end of the initial events when asked to', async () => {
      const made = await make('a');
      const watcher = await watch({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true });
      const [added, end] = watcher.events;
      assert.ok(added?.type === 'ADDED' && end?.type === 'BOOKMARK' && end.initialEventsEnd && end.revision >= made.revision);
      watcher.close();
    });

    it('gets bookmarks that keep up with the whole store, if it allows them', async () => {
      const silent = await watch({ resourceVersion: '0' });
      const watcher = await watch({ allowWatchBookmarks: true });
      const { revision } = await namespaces.create(undefined, { metadata: { name: `${namespace}-x` } }, write());
      await eventually(() => assert.ok(watcher.events.some((event) => event.type === 'BOOKMARK' && event.revision >= revision)), {
        timeoutMs: 3_000,
        what: 'a bookmark after a write to another resource',
      });
      assert.deepEqual(silent.lines, []);
      silent.close();
      watcher.close();
    });

    it('from a revision that is no longer kept gets 410 as its first event', async () => {
      const { revision } = await make('a');
      for (let index = 0; index < 60; index += 1) await relabel('a', { n: String(index) });
      const watcher = await watch({ resourceVersion: String(revision) });
      await eventually(() => assert.equal(watcher.errors.length, 1), { timeoutMs: 3_000, what: 'the error' });
      const [error] = watcher.errors;
      assert.ok(error instanceof StatusError);
      assert.deepEqual([error.code, error.status.reason], [410, 'Expired']);
      assert.match(error.message, new RegExp(`^too old resource version: ${revision} \\(\\d+\\)$`));
      assert.deepEqual(watcher.events, []);
    });

    it('from a revision to come waits for it', async () => {
      const { revision } = await make('a');
      const watcher = await watch({ resourceVersion: String(revision + 2) });
      for (const name of ['b', 'c', 'd']) await make(name);
      await watcher.expect(['ADDED d']);
      watcher.close();
    });

    it('that was closed gets nothing more', async () => {
      const watcher = await watch();
      watcher.close();
      await make('a');
      await list();
      assert.deepEqual(watcher.events, []);
    });

    for (const [options, code] of [
      [{ sendInitialEvents: true }, 422],
      [{ sendInitialEvents: true, resourceVersionMatch: 'Exact' }, 422],
      [{ resourceVersionMatch: 'NotOlderThan' }, 422],
      [{ resourceVersion: 'abc' }, 400],
      [{ fieldSelector: 'spec.replicas=1' }, 400],
    ] as const) {
      it(`is refused with ${code} for ${JSON.stringify(options)}`, async () => {
        assert.equal((await refusal(watch(options))).code, code);
      });
    }

    it('gives every watcher the same order under concurrent writes, and each ends with the state of the list', async () => {
      const watchers = await Promise.all(Array.from({ length: 5 }, () => watch()));
      const writer = async (index: number): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          await make(`w${index}-${round % 3}`).catch(() => undefined);
          await relabel(`w${index}-${round % 3}`, { r: String(round) }).catch(() => undefined);
          if (round % 4 === 3) await remove(`w${index}-${round % 3}`).catch(() => undefined);
        }
      };
      await Promise.all(Array.from({ length: 5 }, (_, index) => writer(index)));
      const listed = await list();
      const replay = (watcher: RecordedWatch): Record<string, number> => {
        const state = new Map<string, number>();
        for (const event of watcher.events) {
          if (event.type === 'BOOKMARK') continue;
          const name = event.stored.object.metadata.name ?? '';
          if (event.type === 'DELETED') state.delete(name);
          else state.set(name, event.stored.revision);
        }
        return Object.fromEntries([...state].sort());
      };
      const expected = Object.fromEntries(
        listed.items.map(({ object, revision }): [string, number] => [object.metadata.name ?? '', revision]).sort(),
      );
      for (const watcher of watchers) {
        assert.deepEqual(replay(watcher), expected);
        assert.deepEqual(watcher.lines, watchers[0]?.lines);
        watcher.close();
      }
    });
  });

  describe('when the store fails', () => {
    it('goes on after etcd was killed and started again, with the same watches', async () => {
      await make('a');
      const watcher = await watch();
      await etcd.kill('SIGKILL');
      const failure = await refusal(list());
      assert.deepEqual([failure.code, failure.details?.retryAfterSeconds], [503, 1]);
      await etcd.restart();
      await eventually(() => make('b'), { timeoutMs: 15_000, what: 'a write after the restart' });
      await watcher.expect(['ADDED a', 'ADDED b']);
      watcher.close();
    }).timeout(60_000);

    it('carries watches over history that was compacted away, with the difference as events', async () => {
      for (const name of ['kept', 'changed', 'deleted', 'recreated']) await make(name);
      const watcher = await watch();
      const cut = watcher.lines.length;
      await interrupt(async () => {
        // Written past this catalogue, as another API server would.
        const other = await startCatalogue(store);
        const theirs = operationsOf(other, 'compute.example.com', 'v1', 'machines');
        await theirs.patch({ namespace, name: 'changed' }, { type: 'merge', body: { spec: { size: 'l' } } }, write());
        for (const name of ['deleted', 'recreated']) await theirs.delete({ namespace, name }, write());
        await theirs.create(namespace, machine('recreated'), write());
        await theirs.create(namespace, machine('made'), write());
        await other.close();
      });
      await eventually(
        () =>
          assert.deepEqual(watcher.lines.slice(cut), [
            'MODIFIED changed',
            'DELETED recreated',
            'ADDED recreated',
            'ADDED made',
            'DELETED deleted',
          ]),
        { timeoutMs: 5_000, what: 'the difference' },
      );
      assert.deepEqual(namesOf(await list()), ['changed', 'kept', 'made', 'recreated']);
      watcher.close();
    });
  });
});

/** A store whose watch can be taken away for a while and then end as compacted. */
function interruptibleStore(store: Store): { store: Store; interrupt: (meanwhile: () => Promise<void>) => Promise<void> } {
  let current: { options: StoreWatchOptions; close(): Promise<void> } | undefined;
  const fragile: Store = {
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    create: (key, value, options) => store.create(key, value, options),
    replace: (key, value, expected, options) => store.replace(key, value, expected, options),
    remove: (key, expected) => store.remove(key, expected),
    currentRevision: () => store.currentRevision(),
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
    watch(options) {
      const watch = store.watch(options);
      current = { options, close: () => watch.close() };
      return watch;
    },
  };
  const interrupt = async (meanwhile: () => Promise<void>): Promise<void> => {
    const interrupted = current ?? assert.fail('there is no watch');
    await interrupted.close();
    await meanwhile();
    interrupted.options.onEnd(new CompactedError(await store.currentRevision()));
  };
  return { store: fragile, interrupt };
}

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Change, Entry } from '../store/store.ts';
import { StatusError } from './status-error.ts';
import { StoredEntry } from './stored-entry.ts';
import { WatchCache, type CacheEvent, type CacheWatcher, type WatchCacheLimits } from './watch-cache.ts';

const prefix = '/registry/things/';

function entry(name: string, modRevision: number, createRevision = modRevision, text = ''): Entry {
  const object = { apiVersion: 'v1', kind: 'Thing', metadata: { name }, text };
  return { key: `${prefix}${name}`, value: Buffer.from(JSON.stringify(object)), modRevision, createRevision };
}

const put = (stored: Entry): Change => ({ type: 'put', entry: stored, previous: undefined });
const gone = (name: string, modRevision: number): Change => ({ type: 'delete', key: `${prefix}${name}`, modRevision, previous: undefined });

function makeCache(limits: Partial<WatchCacheLimits> = {}): WatchCache {
  const cache = new WatchCache(prefix, { maxEvents: 100, maxBytes: 1_000_000, ...limits }, (key) => assert.fail(key));
  cache.replaceAll([], 1, true);
  return cache;
}

class Recorder implements CacheWatcher {
  readonly events: CacheEvent[] = [];
  readonly errors: Error[] = [];
  onChange(event: CacheEvent): void {
    this.events.push(event);
  }
  onEnd(error: Error): void {
    this.errors.push(error);
  }
  get revisions(): number[] {
    return this.events.map(({ revision }) => revision);
  }
}

const isExpired = (error: unknown): boolean => error instanceof StatusError && error.code === 410 && error.status.reason === 'Expired';

describe('WatchCache', () => {
  it('resumes from every revision in its window with exactly the later events', () => {
    const cache = makeCache();
    for (let revision = 2; revision <= 10; revision += 1) cache.apply(put(entry('a', revision, 2)));
    for (let from = 1; from <= 10; from += 1) {
      const watcher = new Recorder();
      cache.watch(from, watcher);
      assert.deepEqual(
        watcher.revisions,
        [2, 3, 4, 5, 6, 7, 8, 9, 10].filter((revision) => revision > from),
      );
    }
  });

  it('answers 410 for a revision whose events it forgot, by count', () => {
    const cache = makeCache({ maxEvents: 3 });
    for (let revision = 2; revision <= 10; revision += 1) cache.apply(put(entry('a', revision, 2)));
    assert.throws(() => cache.watch(6, new Recorder()), isExpired);
    assert.throws(() => cache.watch(6, new Recorder()), /too old resource version: 6 \(7\)/);
    const watcher = new Recorder();
    cache.watch(7, watcher);
    assert.deepEqual(watcher.revisions, [8, 9, 10]);
  });

  it('answers 410 for a revision whose events it forgot, by bytes', () => {
    const cache = makeCache({ maxBytes: 2500 });
    for (let revision = 2; revision <= 10; revision += 1) cache.apply(put(entry('a', revision, 2, 'x'.repeat(1000))));
    assert.throws(() => cache.watch(7, new Recorder()), isExpired);
    const watcher = new Recorder();
    cache.watch(8, watcher);
    assert.deepEqual(watcher.revisions, [9, 10]);
  });

  it('gives a watch from a revision to come only what is later than it', () => {
    const cache = makeCache();
    const watcher = new Recorder();
    cache.watch(5, watcher);
    for (let revision = 2; revision <= 7; revision += 1) cache.apply(put(entry('a', revision, 2)));
    assert.deepEqual(watcher.revisions, [6, 7]);
  });

  it('lists by prefix in the order of keys while keys come and go', () => {
    const cache = makeCache();
    const names = (under = prefix): string[] => cache.list(under).map(({ key }) => key.slice(prefix.length));
    for (const [index, name] of ['n2/b', 'n1/z', 'n1/a', 'n10/x'].entries()) cache.apply(put(entry(name, index + 2)));
    assert.deepEqual(names(), ['n1/a', 'n1/z', 'n10/x', 'n2/b']);
    cache.apply(gone('n1/z', 10));
    cache.apply(put(entry('n1/m', 11)));
    assert.deepEqual(names(`${prefix}n1/`), ['n1/a', 'n1/m']);
  });

  it('shows the last state of a deleted object under the revision of its deletion', () => {
    const cache = makeCache();
    const watcher = new Recorder();
    cache.follow(watcher);
    cache.apply(put(entry('a', 2)));
    cache.apply(gone('a', 3));
    const [, deletion] = watcher.events;
    assert.equal(deletion?.current, undefined);
    assert.equal(deletion?.previous?.atRevision(3).object.metadata.resourceVersion, '3');
  });

  it('goes on over a gap: a listing becomes events, a recreated object a deletion and a creation', () => {
    const cache = makeCache();
    for (const [index, name] of ['kept', 'changed', 'deleted', 'recreated'].entries()) cache.apply(put(entry(name, index + 2)));
    const watcher = new Recorder();
    cache.watch(5, watcher);
    cache.replaceAll([entry('kept', 2), entry('changed', 20, 3), entry('recreated', 15), entry('made', 12)], 30, false);
    const seen = watcher.events.map(({ key, revision, previous, current }) => {
      const type = current === undefined ? 'DELETED' : previous === undefined ? 'ADDED' : 'MODIFIED';
      return `${revision} ${type} ${key.slice(prefix.length)}`;
    });
    assert.deepEqual(seen, ['12 ADDED made', '15 DELETED recreated', '15 ADDED recreated', '20 MODIFIED changed', '30 DELETED deleted']);
  });

  it('ends every watch once, and keeps its objects', () => {
    const cache = makeCache();
    cache.apply(put(entry('a', 2)));
    const watcher = new Recorder();
    cache.follow(watcher);
    cache.endWatches(new Error('over'));
    cache.apply(put(entry('a', 3, 2)));
    assert.deepEqual([watcher.errors.length, watcher.events.length, cache.size], [1, 0, 1]);
  });

  it('knows of writes before the watch brings them, shows them to nobody else, and shares their decoding', () => {
    const cache = makeCache();
    cache.apply(put(entry('a', 2)));
    const watcher = new Recorder();
    cache.follow(watcher);
    const written = StoredEntry.fromStore(entry('a', 5, 2));
    cache.noteWrite(written.key, 5, written);
    assert.deepEqual([cache.latest(written.key)?.revision, cache.get(written.key)?.revision, watcher.revisions], [5, 2, []]);
    cache.apply(put(entry('a', 4, 2)));
    assert.equal(cache.latest(written.key), written, 'an older change does not hide the write');
    cache.apply(put(entry('a', 5, 2)));
    assert.equal(cache.get(written.key), written);
    cache.noteWrite(written.key, 6, undefined);
    assert.deepEqual([cache.latest(written.key), cache.get(written.key)], [undefined, written]);
    cache.apply(gone('a', 6));
    cache.noteWrite(written.key, 6, undefined);
    cache.apply(put(entry('a', 7)));
    for (const [revision, late] of [
      [5, written],
      [6, undefined],
    ] as const)
      cache.noteWrite(written.key, revision, late);
    assert.equal(cache.latest(written.key)?.revision, 7, 'news of a write that comes late is no news');
    cache.apply(gone('a', 8));
    cache.noteWrite(written.key, 7, StoredEntry.fromStore(entry('a', 7)));
    assert.equal(cache.latest(written.key), undefined, 'nor is it of what was deleted since');
  });

  it('leaves out what is no object, and says so', () => {
    const damaged: string[] = [];
    const cache = new WatchCache(prefix, { maxEvents: 10, maxBytes: 1000 }, (key) => damaged.push(key));
    cache.apply(put({ ...entry('a', 2), value: Buffer.from('{bad') }));
    assert.deepEqual([cache.size, damaged], [0, [`${prefix}a`]]);
  });

  it("replays to the list's state from any revision, under random writes, gaps and windows", () => {
    const step = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), remove: fc.boolean(), gap: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (steps, maxEvents) => {
        const cache = makeCache({ maxEvents });
        const store = new Map<string, Entry>();
        const watchers: { state: Map<string, number>; watcher: CacheWatcher }[] = [];
        let revision = 1;
        let missed = 0;
        for (const { name, remove, gap } of steps) {
          revision += 1;
          const known = store.get(name);
          if (remove && known === undefined) continue;
          if (remove) store.delete(name);
          else store.set(name, entry(name, revision, known?.createRevision ?? revision));
          // Now and then the feed misses some changes and lists anew.
          missed = missed > 0 ? missed - 1 : gap === 9 ? 3 : 0;
          if (missed === 1) cache.replaceAll([...store.values()], revision, false);
          if (missed > 0) continue;
          const next = store.get(name);
          if (gap === 9) cache.replaceAll([...store.values()], revision, false);
          else cache.apply(next === undefined ? gone(name, revision) : put(next));
          watchers.push(startReplay(cache, revision));
        }
        cache.replaceAll([...store.values()], revision + 1, false);
        const expected = new Map([...store.values()].map(({ key, modRevision }) => [key, modRevision]));
        for (const { state } of watchers) assert.deepEqual(new Map([...state].sort()), new Map([...expected].sort()));
      }),
    );
  });
});

/** A client that lists, and watches from then on. */
function startReplay(cache: WatchCache, revision: number): { state: Map<string, number>; watcher: CacheWatcher } {
  const state = new Map(cache.list(prefix).map(({ key, revision: modRevision }) => [key, modRevision]));
  let last = revision;
  const watcher: CacheWatcher = {
    onChange(event) {
      assert.ok(event.revision >= last, 'events come in the order of revisions');
      last = event.revision;
      if (event.current === undefined) state.delete(event.key);
      else state.set(event.key, event.current.revision);
    },
    onEnd: (error) => assert.fail(error),
  };
  cache.watch(revision, watcher);
  return { state, watcher };
}

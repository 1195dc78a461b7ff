import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubernetesObject } from '../api/object.ts';
import { IndexedStore } from './indexed-store.ts';
import type { Change } from './indexed-store.ts';

interface Pot extends KubernetesObject {
  tags: string[];
}

function pot(name: string, uid: string, version: number, tags: string[] = []): Pot {
  return { apiVersion: 'v1', kind: 'Pot', metadata: { name, uid, resourceVersion: String(version) }, tags };
}

const create = (): IndexedStore<Pot> => new IndexedStore<Pot>({ tag: ({ tags }) => tags });
const told = (changes: readonly Change<Pot>[]): unknown[] =>
  changes.map(({ key, object, previous }) => [key, object?.metadata.resourceVersion, previous?.metadata.resourceVersion]);

describe('the indexed store', () => {
  it('tells of an object that was deleted and created anew as a deletion and a creation', () => {
    const store = create();
    store.put(pot('a', 'u1', 1));
    assert.deepEqual(told(store.put(pot('a', 'u2', 5))), [
      ['a', undefined, '1'],
      ['a', '5', undefined],
    ]);
    assert.deepEqual(told(store.replaceAll([pot('a', 'u3', 7)])), [
      ['a', undefined, '5'],
      ['a', '7', undefined],
    ]);
  });

  it('ignores a state that is older than its own, also of a deletion', () => {
    const store = create();
    store.put(pot('a', 'u1', 10));
    assert.deepEqual(store.put(pot('a', 'u1', 9)), []);
    assert.deepEqual(store.put(pot('a', 'u1', 10)), []);
    assert.deepEqual(store.remove(pot('a', 'u1', 9)), []);
    assert.deepEqual(told(store.remove(pot('a', 'u1', 11))), [['a', undefined, '10']]);
  });

  it('refuses an index that does not exist', () => {
    assert.throws(() => create().byIndex('colour', 'red'), /no index "colour"/);
  });

  const objects = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      uid: fc.constantFrom('u1', 'u2'),
      version: fc.integer({ min: 1, max: 9 }),
      tags: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
    }),
    { selector: ({ name }) => name },
  );

  it('answers after each list exactly that list, by every index, and its changes lead there from the list before', () => {
    fc.assert(
      fc.property(fc.array(objects, { maxLength: 6 }), (lists) => {
        const store = create();
        const mirror = new Map<string, Pot>();
        for (const list of lists) {
          const pots = list.map(({ name, uid, version, tags }) => pot(name, uid, version, tags));
          for (const { key, object, previous } of store.replaceAll(pots)) {
            assert.equal(mirror.get(key), previous);
            if (object === undefined) mirror.delete(key);
            else mirror.set(key, object);
          }
          const ids = (found: readonly Pot[]): string[] =>
            found.map(({ metadata }) => `${metadata.name ?? ''}/${metadata.uid ?? ''}`).sort();
          assert.deepEqual(ids(store.list()), ids(pots));
          assert.deepEqual(ids([...mirror.values()]), ids(pots));
          for (const tag of ['x', 'y', 'z']) {
            const scanned = store.list().filter(({ tags }) => tags.includes(tag));
            assert.deepEqual(ids(store.byIndex('tag', tag)), ids(scanned));
          }
        }
      }),
    );
  });
});

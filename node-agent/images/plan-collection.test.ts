import assert from 'node:assert/strict';
import fc from 'fast-check';
import { planCollection } from './plan-collection.ts';
import type { CollectableImage, CollectionPlan } from './plan-collection.ts';

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const nowMs = 10_000_000;

function image(id: string, overrides: Partial<CollectableImage> = {}): CollectableImage {
  return { id, sizeBytes: 10, fromRegistry: true, lastUsedAtMs: 0, firstSeenAtMs: 0, ...overrides };
}

function plan(freeBytes: number, images: readonly CollectableImage[], inUse: readonly string[] = []): CollectionPlan {
  return planCollection({ images, inUse: new Set(inUse), disk: { sizeBytes: 1000, freeBytes }, nowMs });
}

describe('planCollection()', () => {
  it('does nothing before 85 % of the disk are used', () => {
    assert.deepEqual(plan(151, [image('a')]), { candidates: [], bytesToFree: 0 });
  });

  it('frees down to 80 %', () => {
    assert.deepEqual(plan(150, [image('a')]), { candidates: ['a'], bytesToFree: 50 });
    assert.equal(plan(0, []).bytesToFree, 200);
  });

  it('takes the least recently used first', () => {
    const images = [image('a', { lastUsedAtMs: 30 }), image('b', { lastUsedAtMs: 10 }), image('c', { lastUsedAtMs: 20 })];
    assert.deepEqual(plan(0, images).candidates, ['b', 'c', 'a']);
  });

  it('never takes what is in use, what is new, or what no registry has', () => {
    const images = [
      image('used'),
      image('new', { firstSeenAtMs: nowMs - 119_999 }),
      image('old', { firstSeenAtMs: nowMs - 120_000 }),
      image('imported', { fromRegistry: false }),
    ];
    assert.deepEqual(plan(0, images, ['used']).candidates, ['old']);
  });

  it('holds to that for any images and any disk', () => {
    const anyImage = fc.record({
      id: fc.constantFrom(...ids),
      sizeBytes: fc.nat(1000),
      fromRegistry: fc.boolean(),
      lastUsedAtMs: fc.nat(nowMs),
      firstSeenAtMs: fc.nat(nowMs),
    });
    const images = fc.uniqueArray(anyImage, { selector: ({ id }) => id });
    fc.assert(
      fc.property(images, fc.subarray(ids), fc.nat(1000), (all, used, freeBytes) => {
        const { candidates, bytesToFree } = plan(freeBytes, all, used);
        assert.ok(candidates.every((id) => !used.includes(id) && all.find((each) => each.id === id)?.fromRegistry === true));
        assert.equal(bytesToFree > 0, freeBytes <= 150);
        assert.ok(freeBytes <= 150 || candidates.length === 0);
      }),
    );
  });
});

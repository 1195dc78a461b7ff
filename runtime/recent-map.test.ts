import assert from 'node:assert/strict';
import { RecentMap } from './recent-map.ts';

describe('the recent map', () => {
  it('forgets what is old, and the oldest when it is full', () => {
    const map = new RecentMap<number>(2, 100);
    map.set('a', 1, 0);
    map.set('b', 2, 10);
    map.set('a', 3, 20);
    map.set('c', 4, 30);
    assert.deepEqual([map.get('a', 30), map.get('b', 30), map.get('c', 30), map.size], [3, undefined, 4, 2]);
    assert.equal(map.get('a', 119), 3);
    assert.equal(map.get('a', 120), undefined);
    map.set('d', 5, 500);
    assert.equal(map.size, 1);
  });
});

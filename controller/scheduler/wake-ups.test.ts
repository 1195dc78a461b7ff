import assert from 'node:assert/strict';
import { WakeUps } from './wake-ups.ts';

const limits = { settleMs: 20, intervalMs: 1000, groupSize: 2, groupDelayMs: 100 };

describe('WakeUps', () => {
  it('looks soon after the first change, and then at most once in an interval', () => {
    const wakeUps = new WakeUps(limits);
    assert.deepEqual(wakeUps.delays(['a'], 0), [['a', 20]]);
    assert.deepEqual(wakeUps.delays(['a'], 10), [], 'due already');
    assert.deepEqual(wakeUps.delays(['a'], 30), [['a', 990]]);
    assert.deepEqual(wakeUps.delays(['a'], 5_000), [['a', 20]]);
  });

  it('takes in those that began to wait after the wake-up was set', () => {
    const wakeUps = new WakeUps(limits);
    assert.deepEqual(wakeUps.delays([], 0), []);
    assert.deepEqual(wakeUps.delays(['late'], 5), [['late', 15]]);
  });

  it('spreads many over time', () => {
    const delays = new WakeUps(limits).delays(['a', 'b', 'c', 'd', 'e'], 0).map(([, delayMs]) => delayMs);
    assert.deepEqual(delays, [20, 20, 120, 120, 220]);
  });
});

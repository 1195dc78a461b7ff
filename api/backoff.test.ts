import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createBackoff, fullJitterMs } from './backoff.ts';

describe('fullJitterMs()', () => {
  it('never waits longer than the cap, nor longer than base · 2^attempt, and never a negative time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100_000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, baseMs, capMs, fraction) => {
          const delay = fullJitterMs(attempt, { baseMs, capMs }, () => fraction);
          return Number.isInteger(delay) && delay >= 0 && delay <= capMs && (attempt > 40 || delay <= baseMs * 2 ** attempt);
        },
      ),
    );
  });

  it('reaches nearly the whole range', () => {
    const bounds = { baseMs: 100, capMs: 1000 };
    assert.equal(
      fullJitterMs(2, bounds, () => 0),
      0,
    );
    assert.equal(
      fullJitterMs(2, bounds, () => 0.9999),
      399,
    );
    assert.equal(
      fullJitterMs(20, bounds, () => 0.9999),
      999,
    );
  });
});

describe('createBackoff()', () => {
  it('grows with each attempt and is short again after reset()', () => {
    const backoff = createBackoff({ baseMs: 100, capMs: 1000 }, () => 0.5);
    assert.deepEqual([backoff.nextMs(), backoff.nextMs(), backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [50, 100, 200, 400, 500]);
    backoff.reset();
    assert.equal(backoff.nextMs(), 50);
  });
});

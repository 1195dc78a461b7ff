import assert from 'node:assert/strict';
import { isDue } from './enforcement-prober.ts';

describe('isDue()', () => {
  const hourMs = 3_600_000;
  const at = 1_000 * hourMs;

  it('tries what was never tried, what is another now, and after a day', () => {
    assert.ok(isDue(undefined, 'a', at));
    assert.ok(isDue({ key: 'b', probedAtMs: at }, 'a', at));
    assert.ok(!isDue({ key: 'a', probedAtMs: at }, 'a', at + 23 * hourMs));
    assert.ok(isDue({ key: 'a', probedAtMs: at }, 'a', at + 24 * hourMs));
    assert.ok(isDue({ key: 'a', probedAtMs: at }, 'a', at - hourMs), 'the clock was set back');
  });
});

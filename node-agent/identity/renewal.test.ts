import assert from 'node:assert/strict';
import fc from 'fast-check';
import { chooseStep } from './choose-step.ts';
import { backdateMs, renewalTimeMs } from './renewal-time.ts';

const hourMs = 3_600_000;

describe('renewalTimeMs()', () => {
  const life = fc.record({
    madeMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    lifeMs: fc.integer({ min: 1_000, max: 400 * 24 * hourMs }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });

  it('is from 50 to 80 % of the life of a certificate, counted from when it was made', () => {
    fc.assert(
      fc.property(life, ({ madeMs, lifeMs, random }) => {
        const validity = { notBeforeMs: madeMs - backdateMs, notAfterMs: madeMs + lifeMs };
        const part = (renewalTimeMs(validity, random) - madeMs) / lifeMs;
        assert.ok(part >= 0.5 - 1e-6 && part <= 0.8 + 1e-6, String(part));
      }),
    );
  });

  it('comes before the end also for a certificate that is shorter than what it is back-dated by', () => {
    fc.assert(
      fc.property(life, ({ madeMs, random }) => {
        const validity = { notBeforeMs: madeMs, notAfterMs: madeMs + hourMs / 2 };
        const at = renewalTimeMs(validity, random);
        assert.ok(at > validity.notBeforeMs && at < validity.notAfterMs);
      }),
    );
  });

  it('spreads machines that joined together', () => {
    const validity = { notBeforeMs: 0, notAfterMs: 25 * hourMs };
    assert.equal(renewalTimeMs(validity, 0), hourMs + 12 * hourMs);
    assert.ok(Math.abs(renewalTimeMs(validity, 1) - (hourMs + 19.2 * hourMs)) < 1);
  });
});

describe('chooseStep()', () => {
  const facts = { nowMs: 0, renewAtMs: 100, notAfterMs: 200, isRefused: false };

  it('waits, renews, and recovers when it is too late for that', () => {
    assert.deepEqual(chooseStep(facts), { kind: 'wait', forMs: 100 });
    assert.deepEqual(chooseStep({ ...facts, nowMs: 100 }), { kind: 'renew' });
    assert.deepEqual(chooseStep({ ...facts, nowMs: 199 }), { kind: 'renew' });
    assert.deepEqual(chooseStep({ ...facts, nowMs: 200 }), { kind: 'recover' });
  });

  it('recovers when the API does not believe a certificate that lasts', () => {
    assert.deepEqual(chooseStep({ ...facts, isRefused: true }), { kind: 'recover' });
  });
});

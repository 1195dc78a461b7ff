import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addAmounts, fits, formatAmounts, minAmounts, shortResources, subtractAmounts, sumAmounts } from './resource-amounts.ts';
import type { ParsedAmounts } from './resource-amounts.ts';

const anyAmounts: fc.Arbitrary<ParsedAmounts> = fc.dictionary(
  fc.constantFrom('cpu', 'memory', 'disk', 'pids'),
  fc.record({ nanos: fc.bigInt({ min: 0n, max: 10n ** 25n }), format: fc.constantFrom('BinarySI', 'DecimalSI') }),
);

describe('resource amounts', () => {
  it('adds and subtracts by name, exactly', () => {
    assert.deepEqual(formatAmounts(addAmounts({ cpu: '500m', memory: '1Gi' }, { cpu: 1, disk: '10Gi' })), {
      cpu: '1500m',
      memory: '1Gi',
      disk: '10Gi',
    });
    assert.deepEqual(formatAmounts(subtractAmounts({ cpu: 2, memory: '4Gi' }, { cpu: '2500m', disk: '1Gi' })), {
      cpu: '-500m',
      memory: '4Gi',
      disk: '-1Gi',
    });
  });

  it('bounds each resource by the least that is said of it', () => {
    assert.deepEqual(formatAmounts(minAmounts([{ cpu: 6, memory: '12Gi' }, { cpu: '4' }, { memory: '16G', disk: '200Gi' }])), {
      cpu: '4',
      memory: '12Gi',
      disk: '200Gi',
    });
  });

  it('names every resource that is short, and counts an absent one as zero', () => {
    assert.deepEqual(shortResources({ memory: '2Gi', cpu: 1, disk: 1 }, { cpu: '999m', memory: '2Gi' }), ['cpu', 'disk']);
    assert.equal(fits({ cpu: 1 }, { cpu: '1000m' }), true);
    assert.deepEqual(shortResources({ toString: 1 }, {}), ['toString']);
  });

  it('fits exactly when what is left has no negative amount', () => {
    fc.assert(
      fc.property(anyAmounts, anyAmounts, (request, free) => {
        const left = subtractAmounts(free, request);
        assert.equal(
          fits(request, free),
          Object.values(left).every(({ nanos }) => nanos >= 0n),
        );
      }),
    );
  });

  it('sums to the same whatever the order, and leaves nothing when the sum is taken away', () => {
    fc.assert(
      fc.property(fc.array(anyAmounts, { maxLength: 6 }), (all) => {
        const sum = sumAmounts(all);
        const reversed = sumAmounts([...all].reverse());
        const left = subtractAmounts(sum, reversed);
        assert.ok(Object.values(left).every(({ nanos }) => nanos === 0n));
      }),
    );
  });

  it('is never above any of those that it is the least of', () => {
    fc.assert(
      fc.property(fc.array(anyAmounts, { minLength: 1, maxLength: 5 }), (all) =>
        all.every((amounts) => {
          const least = minAmounts(all);
          return Object.entries(amounts).every(([name, { nanos }]) => (least[name]?.nanos ?? nanos + 1n) <= nanos);
        }),
      ),
    );
  });
});

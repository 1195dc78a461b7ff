import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addQuantities,
  ceilQuantity,
  compareQuantities,
  formatQuantity,
  isQuantity,
  isWholeQuantity,
  isZeroQuantity,
  parseQuantity,
  quantityFromUnits,
  quantityToMillis,
  quantityToNumber,
  signOfQuantity,
  subtractQuantities,
} from './quantity.ts';
import type { Quantity } from './quantity.ts';

const anyQuantity: fc.Arbitrary<Quantity> = fc.record({
  nanos: fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
  format: fc.constantFrom('BinarySI', 'DecimalSI', 'DecimalExponent'),
});

/** Amounts that no cap of 64 bits touches when they are read back. */
const smallQuantity: fc.Arbitrary<Quantity> = fc.record({
  nanos: fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n }),
  format: fc.constantFrom('BinarySI', 'DecimalSI', 'DecimalExponent'),
});

describe('parseQuantity() and formatQuantity()', () => {
  // From Kubernetes' quantity_test.go: text, canonical text.
  const canonical: [string | number, string][] = [
    ['0', '0'],
    ['0.0', '0'],
    ['0Ki', '0'],
    ['-0', '0'],
    ['1', '1'],
    ['+1', '1'],
    ['-1', '-1'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['5.', '5'],
    ['1.5Gi', '1536Mi'],
    ['1Ki', '1Ki'],
    ['1024', '1024'],
    ['1000', '1k'],
    ['1000000', '1M'],
    ['1024Ki', '1Mi'],
    ['0.5Mi', '512Ki'],
    ['1000Ki', '1000Ki'],
    ['1Ei', '1Ei'],
    ['1E', '1E'],
    ['1e3', '1e3'],
    ['1E6', '1e6'],
    ['1000e3', '1e6'],
    ['1e-3', '1e-3'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['1n', '1n'],
    ['0.1n', '1n'],
    ['1.0000000001', '1000000001n'],
    ['-0.1n', '-1n'],
    ['1234.5678k', '1234567800m'],
    ['512', '512'],
    ['0.001Ki', '1024m'],
    ['1.1Ki', '1126400m'],
    ['100E', '100E'],
    ['9223372036854775807', '9223372036854775807'],
    ['9223372036854775808', '9223372036854775807'],
    ['9Ei', '9223372036854775807'],
    ['-9Ei', '-9223372036854775807'],
    [2, '2'],
    [0.5, '500m'],
    [1e21, '1e21'],
  ];
  for (const [text, expected] of canonical) {
    it(`writes ${JSON.stringify(text)} as ${expected}`, () => assert.equal(formatQuantity(parseQuantity(text)), expected));
  }

  const wrong = [
    '',
    ' ',
    '.',
    '-',
    '1 Gi',
    '1i',
    '1Mib',
    '1ki',
    '1mm',
    'Ki',
    'abc',
    '1e',
    '1e1.5',
    '--1',
    '1.2.3',
    '١',
    '0x10',
    'NaN',
    'Infinity',
  ];
  for (const text of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseQuantity(text), { name: 'QuantityError' });
      assert.equal(isQuantity(text), false);
    });
  }

  it('refuses numbers that are none, exponents without bound, and long texts', () => {
    for (const text of [Number.NaN, Number.POSITIVE_INFINITY, '1e101', '1e-101', '1e99999999999999999999', '9'.repeat(65)]) {
      assert.throws(() => parseQuantity(text), { name: 'QuantityError' }, String(text));
    }
  });

  it('reads back what it wrote: same amount, same text', () => {
    fc.assert(
      fc.property(smallQuantity, (quantity) => {
        const text = formatQuantity(quantity);
        const again = parseQuantity(text);
        assert.equal(again.nanos, quantity.nanos);
        assert.equal(formatQuantity(again), text);
      }),
    );
  });

  it('never throws anything but a QuantityError', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('0123456789.+-eEinumkKMGTP ')) }), (text) => {
        try {
          parseQuantity(text);
        } catch (error) {
          assert.equal((error as Error).name, 'QuantityError');
        }
      }),
    );
  });
});

describe('arithmetic of quantities', () => {
  it('takes away what it added, exactly', () => {
    fc.assert(
      fc.property(anyQuantity, anyQuantity, (a, b) => {
        assert.equal(compareQuantities(subtractQuantities(addQuantities(a, b), b), a), 0);
        assert.equal(compareQuantities(addQuantities(a, b), addQuantities(b, a)), 0);
      }),
    );
  });

  it('orders like the amounts', () => {
    fc.assert(
      fc.property(anyQuantity, anyQuantity, (a, b) => {
        assert.equal(compareQuantities(a, b), signOfQuantity(subtractQuantities(a, b)));
        assert.equal(compareQuantities(a, b) + compareQuantities(b, a), 0);
      }),
    );
  });

  it('knows that 1024Ki is 1Mi, and 1000m is 1', () => {
    assert.equal(compareQuantities(parseQuantity('1024Ki'), parseQuantity('1Mi')), 0);
    assert.equal(compareQuantities(parseQuantity('1000m'), parseQuantity('1')), 0);
    assert.equal(compareQuantities(parseQuantity('999m'), parseQuantity('1')), -1);
  });

  it('keeps the family of suffixes of the first that is not zero', () => {
    assert.equal(formatQuantity(addQuantities(parseQuantity('1Gi'), parseQuantity('1024M'))), '2048576Ki');
    assert.equal(formatQuantity(addQuantities(parseQuantity('0'), parseQuantity('1Gi'))), '1Gi');
    assert.equal(formatQuantity(subtractQuantities(parseQuantity('2Gi'), parseQuantity('1Gi'))), '1Gi');
  });

  it('rounds up to whole units and thousandths', () => {
    assert.equal(ceilQuantity(parseQuantity('1.1')), 2n);
    assert.equal(ceilQuantity(parseQuantity('-1.1')), -1n);
    assert.equal(ceilQuantity(parseQuantity('2Gi')), 2_147_483_648n);
    assert.equal(quantityToMillis(parseQuantity('250m')), 250);
    assert.equal(quantityToMillis(parseQuantity('1u')), 1);
  });

  it('answers in numbers, units and signs', () => {
    assert.equal(quantityToNumber(parseQuantity('500m')), 0.5);
    assert.equal(quantityToNumber(parseQuantity('8Gi')), 8_589_934_592);
    assert.equal(formatQuantity(quantityFromUnits(8_589_934_592)), '8Gi');
    assert.equal(isWholeQuantity(parseQuantity('1500m')), false);
    assert.equal(isZeroQuantity(parseQuantity('0m')), true);
  });
});

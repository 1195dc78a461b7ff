/** Kubernetes' CEL library for quantities (`k8s.io/apiserver/pkg/cel/library/quantity.go`). */
import type { Environment } from '@marcbachmann/cel-js';
import {
  addQuantities,
  compareQuantities,
  isQuantity,
  isWholeQuantity,
  parseQuantity,
  quantityFromUnits,
  quantityToNumber,
  signOfQuantity,
  subtractQuantities,
} from '../../../api/quantity.ts';
import type { Quantity } from '../../../api/quantity.ts';

/** A quantity as a value of CEL, which tells types apart by their constructor. */
class CelQuantity {
  readonly amount: Quantity;

  constructor(amount: Quantity) {
    this.amount = amount;
  }
}

const type = 'kubernetes.Quantity';
const unitNanos = 1_000_000_000n;
const maxInteger = 2n ** 63n - 1n;

function isInteger({ amount }: CelQuantity): boolean {
  return isWholeQuantity(amount) && amount.nanos / unitNanos <= maxInteger && amount.nanos / unitNanos >= -maxInteger - 1n;
}

function asInteger(quantity: CelQuantity): bigint {
  if (!isInteger(quantity)) throw new RangeError('cannot convert value to integer');
  return quantity.amount.nanos / unitNanos;
}

export function registerQuantities(environment: Environment): void {
  const sync = { async: false };
  const compare = (a: CelQuantity, b: CelQuantity): -1 | 0 | 1 => compareQuantities(a.amount, b.amount);
  const whole = (units: bigint): Quantity => quantityFromUnits(units, 'DecimalSI');
  environment
    .registerType(type, { ctor: CelQuantity, fields: {} })
    .registerFunction(`quantity(string): ${type}`, (text: string) => new CelQuantity(parseQuantity(text)), sync)
    .registerFunction('isQuantity(string): bool', (text: string) => isQuantity(text), sync)
    .registerFunction(`${type}.sign(): int`, ({ amount }: CelQuantity) => BigInt(signOfQuantity(amount)), sync)
    .registerFunction(`${type}.isInteger(): bool`, isInteger, sync)
    .registerFunction(`${type}.asInteger(): int`, asInteger, sync)
    .registerFunction(`${type}.asApproximateFloat(): double`, ({ amount }: CelQuantity) => quantityToNumber(amount), sync)
    .registerFunction(`${type}.compareTo(${type}): int`, (a: CelQuantity, b: CelQuantity) => BigInt(compare(a, b)), sync)
    .registerFunction(`${type}.isGreaterThan(${type}): bool`, (a: CelQuantity, b: CelQuantity) => compare(a, b) > 0, sync)
    .registerFunction(`${type}.isLessThan(${type}): bool`, (a: CelQuantity, b: CelQuantity) => compare(a, b) < 0, sync)
    .registerFunction(
      `${type}.add(${type}): ${type}`,
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(addQuantities(a.amount, b.amount)),
      sync,
    )
    .registerFunction(`${type}.add(int): ${type}`, (a: CelQuantity, b: bigint) => new CelQuantity(addQuantities(a.amount, whole(b))), sync)
    .registerFunction(
      `${type}.sub(${type}): ${type}`,
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(subtractQuantities(a.amount, b.amount)),
      sync,
    )
    .registerFunction(
      `${type}.sub(int): ${type}`,
      (a: CelQuantity, b: bigint) => new CelQuantity(subtractQuantities(a.amount, whole(b))),
      sync,
    )
    .registerOperator(`${type} == ${type}`, (a: CelQuantity, b: CelQuantity) => compare(a, b) === 0);
}

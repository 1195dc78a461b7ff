/** Kubernetes' CEL libraries for lists and sets (`k8s.io/apiserver/pkg/cel/library/lists.go`, cel-go's `ext/sets.go`). */
import { Duration } from '@marcbachmann/cel-js/evaluator';
import type { Environment } from '@marcbachmann/cel-js';
import { CelObject } from './declare-type.ts';
import { charge, weigh } from './cost.ts';
import { replacementPrefix } from './library-strings.ts';

type Ordered = string | bigint | number | boolean | Date | Duration;
type List = readonly unknown[];

/** A text that equal values share; numbers of different types that are equal share theirs too. */
function identityOf(value: unknown): unknown {
  if (typeof value === 'bigint' && value >= -(2n ** 53n) && value <= 2n ** 53n) return Number(value);
  if (value instanceof Date) return `timestamp:${value.getTime()}`;
  if (value instanceof Duration) return `duration:${value.toString()}`;
  if (value instanceof CelObject) return `object:${CelObject.textOf(value)}`;
  if (Array.isArray(value)) return `list:[${value.map(identityOf).map(String).join()}]`;
  if (value instanceof Map)
    return `map:${Array.from(value, ([key, member]) => `${String(key)}=${String(identityOf(member))}`)
      .sort()
      .join()}`;
  return typeof value === 'string' ? `string:${value}` : value;
}

function identitiesOf(list: List): unknown[] {
  charge(4 * weigh(list));
  return list.map(identityOf);
}

function isSorted(list: readonly Ordered[]): boolean {
  charge(weigh(list));
  return list.every((item, index) => {
    const previous = list[index - 1];
    return previous === undefined || previous <= item;
  });
}

function extreme(name: string, better: (a: Ordered, b: Ordered) => boolean): (list: readonly Ordered[]) => Ordered {
  return (list) => {
    charge(weigh(list));
    const [first, ...rest] = list;
    if (first === undefined) throw new RangeError(`${name} called on empty list`);
    return rest.reduce((best, item) => (better(item, best) ? item : best), first);
  };
}

function sumOf(list: readonly (bigint | number | Duration)[]): bigint | number | Duration {
  charge(weigh(list));
  const [first = 0n, ...rest] = list;
  return rest.reduce((sum, item) => {
    if (sum instanceof Duration && item instanceof Duration) return sum.addDuration(item);
    if (typeof sum === 'bigint' && typeof item === 'bigint') return sum + item;
    return Number(sum) + Number(item);
  }, first);
}

export function registerLists(environment: Environment): void {
  const sync = { async: false };
  const indexOf = (list: List, item: unknown): bigint => BigInt(identitiesOf(list).indexOf(identityOf(item)));
  const lastIndexOf = (list: List, item: unknown): bigint => BigInt(identitiesOf(list).lastIndexOf(identityOf(item)));
  environment
    .registerFunction('list<T>.isSorted(): bool', isSorted, sync)
    .registerFunction('list<T>.sum(): T', sumOf, sync)
    .registerFunction(
      'list<T>.min(): T',
      extreme('min', (a, b) => a < b),
      sync,
    )
    .registerFunction(
      'list<T>.max(): T',
      extreme('max', (a, b) => a > b),
      sync,
    )
    .registerFunction(`list<T>.${replacementPrefix}indexOf(T): int`, indexOf, sync)
    .registerFunction(`list<T>.${replacementPrefix}lastIndexOf(T): int`, lastIndexOf, sync);
}

class SetsNamespace {
  readonly name = 'sets';
}

export function registerSets(environment: Environment): void {
  const sync = { async: false };
  const contains = (list: List, part: List): boolean => {
    const all = new Set(identitiesOf(list));
    return identitiesOf(part).every((item) => all.has(item));
  };
  const intersects = (list: List, other: List): boolean => {
    const all = new Set(identitiesOf(list));
    return identitiesOf(other).some((item) => all.has(item));
  };
  environment
    .registerType('SetsNamespace', SetsNamespace)
    .registerConstant('sets', 'SetsNamespace', new SetsNamespace())
    .registerFunction('SetsNamespace.contains(list<T>, list<T>): bool', (_: unknown, a: List, b: List) => contains(a, b), sync)
    .registerFunction(
      'SetsNamespace.equivalent(list<T>, list<T>): bool',
      (_: unknown, a: List, b: List) => contains(a, b) && contains(b, a),
      sync,
    )
    .registerFunction('SetsNamespace.intersects(list<T>, list<T>): bool', (_: unknown, a: List, b: List) => intersects(a, b), sync);
}

/**
 * Amounts of resources by name, as `requests`, `limits`, `offer` and `allocatable` hold them, with exact arithmetic. Functions take
 * amounts as written or as parsed; whoever asks often parses once with {@link parseAmounts}.
 */
import { addQuantities, compareQuantities, formatQuantity, parseQuantity, subtractQuantities } from './quantity.ts';
import type { Quantity } from './quantity.ts';

/** As the API has them (`{ cpu: '500m', memory: '1Gi', pids: 512 }`), or parsed. */
export type ResourceAmounts = Readonly<Record<string, string | number | Quantity>>;

/** Parsed; what the functions here answer. */
export type ParsedAmounts = Readonly<Record<string, Quantity>>;

function toQuantity(amount: string | number | Quantity): Quantity {
  return typeof amount === 'object' ? amount : parseQuantity(amount);
}

/** @throws {QuantityError} when an amount is no quantity. */
export function parseAmounts(amounts: ResourceAmounts): ParsedAmounts {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, toQuantity(amount)]));
}

/** Writes every amount in canonical form. */
export function formatAmounts(amounts: ResourceAmounts): Record<string, string> {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, formatQuantity(toQuantity(amount))]));
}

/** The sum of all, resource by resource; what is absent counts as zero. */
export function sumAmounts(all: Iterable<ResourceAmounts>): ParsedAmounts {
  const sum = new Map<string, Quantity>();
  for (const amounts of all) {
    for (const [name, amount] of Object.entries(amounts)) {
      const soFar = sum.get(name);
      sum.set(name, soFar === undefined ? toQuantity(amount) : addQuantities(soFar, toQuantity(amount)));
    }
  }
  return Object.fromEntries(sum);
}

export function addAmounts(a: ResourceAmounts, b: ResourceAmounts): ParsedAmounts {
  return sumAmounts([a, b]);
}

/** What is left of `from`; has the resources of both, and negative amounts where more is taken than there is. */
export function subtractAmounts(from: ResourceAmounts, taken: ResourceAmounts): ParsedAmounts {
  const left = new Map(Object.entries(parseAmounts(from)));
  for (const [name, amount] of Object.entries(taken)) {
    const quantity = toQuantity(amount);
    left.set(name, subtractQuantities(left.get(name) ?? { nanos: 0n, format: quantity.format }, quantity));
  }
  return Object.fromEntries(left);
}

/** The least of several, resource by resource; a map that lacks a resource does not bound it. */
export function minAmounts(all: Iterable<ResourceAmounts>): ParsedAmounts {
  const least = new Map<string, Quantity>();
  for (const amounts of all) {
    for (const [name, amount] of Object.entries(amounts)) {
      const quantity = toQuantity(amount);
      const soFar = least.get(name);
      if (soFar === undefined || compareQuantities(quantity, soFar) < 0) least.set(name, quantity);
    }
  }
  return Object.fromEntries(least);
}

/** Names of the resources of which less is free than requested, sorted; empty when the request fits. What is absent from `free` is zero. */
export function shortResources(request: ResourceAmounts, free: ResourceAmounts): string[] {
  const short: string[] = [];
  for (const [name, amount] of Object.entries(request)) {
    const available = Object.hasOwn(free, name) ? free[name] : undefined;
    const availableNanos = available === undefined ? 0n : toQuantity(available).nanos;
    if (toQuantity(amount).nanos > availableNanos) short.push(name);
  }
  return short.sort();
}

export function fits(request: ResourceAmounts, free: ResourceAmounts): boolean {
  return shortResources(request, free).length === 0;
}

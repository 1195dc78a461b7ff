/**
 * What a CEL evaluation may cost. One unit is about a tenth of a microsecond: one step of an expression, sixteen characters of a string
 * that is looked at. Evaluation is synchronous, so the budget that counts is the one of the evaluation that runs.
 */

/** Units that one object's rules may use together; about 200 ms. */
export const objectCostLimit = 2_000_000;
/** Units that one evaluation of one rule may use. */
export const ruleCostLimit = 1_000_000;

export class CostLimitError extends Error {
  override readonly name = 'CostLimitError';

  constructor() {
    super('operation cancelled: actual cost limit exceeded');
  }
}

let remaining = Infinity;

/** Counts work of the evaluation that runs. */
export function charge(units: number): void {
  remaining -= units;
  if (remaining < 0) throw new CostLimitError();
}

/**
 * Runs an evaluation that may use `limit` units, and says what it used. CEL's `||` and `all()` forget errors: whether the limit was
 * exceeded is told by `exceeded`, whatever the evaluation answered.
 */
export function runWithin<T>(limit: number, evaluate: () => T): { used: number; exceeded: boolean; value?: T; error?: unknown } {
  remaining = limit;
  try {
    const value = evaluate();
    return { used: limit - remaining, exceeded: remaining < 0, value };
  } catch (error) {
    return { used: limit - remaining, exceeded: remaining < 0, error };
  } finally {
    remaining = Infinity;
  }
}

/** Where a value of ours says what it weighs. */
export const weightOf = Symbol('weight');

/** Units that it takes to look at all of a value once; values are CEL's, or JSON. */
export function weigh(value: unknown): number {
  if (typeof value === 'string') return 1 + (value.length >> 4);
  if (typeof value !== 'object' || value === null) return 1;
  if (weightOf in value) return Number(value[weightOf]);
  if (value instanceof Uint8Array) return 1 + (value.length >> 4);
  let weight = 1;
  for (const part of partsOf(value)) weight += weigh(part);
  return weight;
}

function partsOf(value: object): Iterable<unknown> {
  return value instanceof Map ? value.values() : Object.values(value);
}

/**
 * What one object takes of its namespace's quotas. Every object counts as one of its resource; beyond that, a CustomResourceDefinition may
 * say by an annotation which amounts of its objects are summed. See docs/decisions/0005-quotas-of-custom-resources.md.
 */
import { parseQuantity, quantityFromUnits, type Quantity } from './quantity.ts';
import { sumAmounts, type ParsedAmounts, type ResourceAmounts } from './resource-amounts.ts';

/**
 * On a CustomResourceDefinition: JSON from a prefix to the path of a map of quantities in its objects, for example
 * `{"requests": ".spec.resources.requests"}`, by which an object's `cpu: 500m` there counts for a quota's `requests.cpu`.
 */
export const quotaAmountsAnnotation = 'potluck.dev/quota-amounts';

export interface QuotaAmountSource {
  /** Of the quota's resource name, before a dot. */
  prefix: string;
  /** Keys that lead to the map. */
  path: readonly string[];
}

/** An annotation that cannot be read. */
export class QuotaAmountsError extends Error {
  override readonly name = 'QuotaAmountsError';
}

const prefixForm = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const pathForm = /^(\.[A-Za-z_][A-Za-z0-9_-]*)+$/;

/**
 * Reads the annotation; no annotation is no amounts.
 * @throws {QuotaAmountsError}
 */
export function parseQuotaAmounts(text: string | undefined): readonly QuotaAmountSource[] {
  if (text === undefined) return [];
  let declared: unknown;
  try {
    declared = JSON.parse(text);
  } catch {
    throw new QuotaAmountsError('must be JSON');
  }
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared)) throw new QuotaAmountsError('must be a JSON object');
  return Object.entries(declared).map(([prefix, path]: [string, unknown]) => {
    if (!prefixForm.test(prefix)) throw new QuotaAmountsError(`${JSON.stringify(prefix)} must be a DNS label`);
    if (typeof path !== 'string' || !pathForm.test(path)) {
      throw new QuotaAmountsError(`the path of ${JSON.stringify(prefix)} must be of the form .spec.some.map`);
    }
    return { prefix, path: path.slice(1).split('.') };
  });
}

/** The names under which a quota counts objects of a resource: `count/instances.potluck.dev`; of the core group also the bare name. */
export function countNames({ group, resource }: { group: string; resource: string }): readonly string[] {
  return group === '' ? [`count/${resource}`, resource] : [`count/${resource}.${group}`];
}

/** What an object takes, by names of quotas. Amounts that are no quantities count as nothing: the object's schema judges them. */
export function quotaUsage(
  type: { group: string; resource: string },
  object: unknown,
  sources: readonly QuotaAmountSource[],
): ParsedAmounts {
  const one = quantityFromUnits(1, 'DecimalSI');
  const counts = Object.fromEntries(countNames(type).map((name) => [name, one]));
  const amounts = sources.map((source) => amountsAt(object, source));
  return sumAmounts([counts, ...amounts]);
}

function amountsAt(object: unknown, { prefix, path }: QuotaAmountSource): ResourceAmounts {
  let place = object;
  for (const key of path) place = isMap(place) && Object.hasOwn(place, key) ? place[key] : undefined;
  if (!isMap(place)) return {};
  return Object.fromEntries(
    Object.entries(place).flatMap(([name, amount]) => {
      const quantity = readAmount(amount);
      return quantity === undefined ? [] : [[`${prefix}.${name}`, quantity]];
    }),
  );
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readAmount(amount: unknown): Quantity | undefined {
  if (typeof amount !== 'string' && typeof amount !== 'number') return undefined;
  try {
    return parseQuantity(amount);
  } catch {
    return undefined;
  }
}

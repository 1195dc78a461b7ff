/** What a quota's status should say, given what is there. Pure. */
import { compareQuantities, parseQuantity } from '../../api/quantity.ts';
import type { Quantity } from '../../api/quantity.ts';
import { countNames } from '../../api/quota-usage.ts';
import type { QuotaAmountSource } from '../../api/quota-usage.ts';
import { formatAmounts } from '../../api/resource-amounts.ts';
import type { ParsedAmounts } from '../../api/resource-amounts.ts';
import type { ResourceQuota } from '../../api/resource-type.ts';

const zero = parseQuantity('0');

/** Whether objects of a resource take anything of what a quota bounds. */
export function concernsQuota(
  { spec }: ResourceQuota,
  type: { group: string; resource: string },
  sources: readonly QuotaAmountSource[],
): boolean {
  const counts = countNames(type);
  return Object.keys(spec?.hard ?? {}).some((name) => counts.includes(name) || sources.some(({ prefix }) => name.startsWith(`${prefix}.`)));
}

export interface JudgedUsage {
  status: NonNullable<ResourceQuota['status']>;
  /** Less is used than the quota says, but what it says may be set aside for a write that is under way. */
  isUnsettled: boolean;
}

/**
 * `counted` is what the objects of the namespace take together. What is used grows at once, and shrinks only when `isSettled`: when the quota
 * has not changed for longer than a write takes from setting an amount aside to storing its object.
 */
export function judgeUsage({ spec, status }: ResourceQuota, counted: ParsedAmounts, isSettled: boolean): JudgedUsage {
  const hard = spec?.hard ?? {};
  const before = status?.used ?? {};
  let isUnsettled = false;
  const used = Object.keys(hard).map((name): [string, string | Quantity] => {
    const present = counted[name] ?? zero;
    const known = before[name];
    if (known === undefined || isSettled || compareQuantities(present, parseQuantity(known)) >= 0) return [name, present];
    isUnsettled = true;
    return [name, known];
  });
  return { status: { hard, used: formatAmounts(Object.fromEntries(used)) }, isUnsettled };
}

/** Whether two statuses say the same; amounts are in canonical form. */
export function sameUsage(a: ResourceQuota['status'], b: ResourceQuota['status']): boolean {
  return sameAmounts(a?.hard, b?.hard) && sameAmounts(a?.used, b?.used);
}

type Amounts = Readonly<Record<string, string>> | null | undefined;

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const [left, right] = [Object.entries(a ?? {}), Object.entries(b ?? {})];
  return left.length === right.length && left.every(([name, amount]) => b?.[name] === amount);
}

/** Amounts as rows of numbers, one for each of {@link resourceNames}, in millicores, bytes, processes and bit/s. Pure. */
import { askedAmount, givenAmount, mostForOneInstance, resourceNames } from '../../api/effective-resources.ts';
import type { ResourceName, WrittenAmounts } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';

export const resourceCount = resourceNames.length;
export type AmountRow = Float64Array;

function row(amountOf: (name: ResourceName) => number): AmountRow {
  return Float64Array.from(resourceNames, amountOf);
}

/** What is asked for; 0 where nothing is stated. */
export function askedRow(amounts: WrittenAmounts | undefined): AmountRow {
  return row((name) => askedAmount(amounts, name) ?? 0);
}

const boundedOnlyByStatement: readonly ResourceName[] = ['pids', 'ingress-bandwidth', 'egress-bandwidth'];

/** What a provider can give away. Processes and bandwidth are unbounded where it does not state them; of the others it has none then. */
export function allocatableRow(allocatable: WrittenAmounts | undefined): AmountRow {
  return row((name) => givenAmount(allocatable, name) ?? (boundedOnlyByStatement.includes(name) ? Infinity : 0));
}

/** The most that one instance may have on a provider, by what is offered and by the policy of its owner. */
export function mostRow(provider: Provider['spec'], ownersMost: WrittenAmounts | undefined): AmountRow {
  return row((name) => Math.min(mostForOneInstance(provider, name) ?? Infinity, givenAmount(ownersMost, name) ?? Infinity));
}

/** The most that an instance states, as request or as limit. */
export function peakRow({ requests, limits }: Instance['spec']['resources']): AmountRow {
  return row((name) => Math.max(askedAmount(requests, name) ?? 0, askedAmount(limits, name) ?? 0));
}

export function addTo(sum: AmountRow, amounts: AmountRow): void {
  for (let index = 0; index < resourceCount; index += 1) sum[index] = (sum[index] ?? 0) + (amounts[index] ?? 0);
}

/** The names of the resources of which `reserved + asked` is more than `allocatable`. */
export function shortResources(allocatable: AmountRow, reserved: AmountRow, asked: AmountRow): ResourceName[] {
  return resourceNames.filter((_, index) => {
    const amount = asked[index] ?? 0;
    return amount > 0 && (reserved[index] ?? 0) + amount > (allocatable[index] ?? 0);
  });
}

export function sameRow(a: AmountRow, b: AmountRow): boolean {
  return a.every((amount, index) => amount === b[index]);
}

import { allowsImage, allowsMember, allowsRuntime } from '../../../api/owner-policy.ts';
import type { OwnerPolicyStatus } from '../../../api/owner-policy.ts';
import type { PlacementRequest } from '../request.ts';
import type { Filter } from './filter.ts';

/** What the owner's policy on a machine says, as its agent reports it. The agent holds the machine to it anyway; this spares the attempt. */
function policyFilter(
  name: string,
  reason: Filter['reason'],
  allows: (policy: OwnerPolicyStatus, request: PlacementRequest) => boolean,
): Filter {
  return {
    name,
    reason,
    applies: () => true,
    sieve: ({ policies }, request, candidates, count) => {
      let kept = 0;
      for (let index = 0; index < count; index += 1) {
        const slot = candidates[index] ?? 0;
        const policy = policies[slot];
        if (policy === undefined || allows(policy, request)) candidates[kept++] = slot;
      }
      return kept;
    },
  };
}

export const ownerPolicyFilters: readonly Filter[] = [
  policyFilter(
    'owner-policy-open',
    () => 'closed now by their owners',
    ({ open }) => open,
  ),
  policyFilter(
    'owner-policy-members',
    ({ namespace }) => `not lent to ${namespace} by their owners`,
    (policy, { namespace }) => allowsMember(policy, namespace),
  ),
  policyFilter(
    'owner-policy-images',
    () => 'not allowed the image by their owners',
    (policy, { image }) => allowsImage(policy, image),
  ),
  policyFilter(
    'owner-policy-runtimes',
    ({ isolation }) => `not allowed isolation ${isolation} by their owners`,
    (policy, { isolation }) => allowsRuntime(policy, isolation),
  ),
];

import { resourceNames } from '../../../api/effective-resources.ts';
import { resourceCount } from '../amounts.ts';
import type { Filter } from './filter.ts';

/** The provider's `perInstanceMax` (its offer where absent) against what the instance states of a resource, as request or limit. */
export const perInstanceMaxFilters: readonly Filter[] = resourceNames.map((name, resource) => ({
  name: `per-instance-max-${name}`,
  reason: () => `not allowing one instance that much ${name}`,
  applies: (request) => (request.peak[resource] ?? 0) > 0,
  sieve: ({ most }, { peak }, candidates, count) => {
    const asked = peak[resource] ?? 0;
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (asked <= (most[slot * resourceCount + resource] ?? 0)) candidates[kept++] = slot;
    }
    return kept;
  },
}));

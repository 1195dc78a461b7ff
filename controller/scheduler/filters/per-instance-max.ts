import { resourceNames } from '../../../api/effective-resources.ts';
import { resourceCount } from '../amounts.ts';
import type { Filter } from './filter.ts';

/** The provider's `perInstanceMax` (its offer where absent) against what the instance states of a resource, as request or limit. */
export const perInstanceMaxFilters: readonly Filter[] = resourceNames.map((name, index) => ({
  name: `per-instance-max-${name}`,
  reason: () => `not allowing one instance that much ${name}`,
  applies: (request) => (request.peak[index] ?? 0) > 0,
  fits: (snapshot, slot, request) => (request.peak[index] ?? 0) <= (snapshot.most[slot * resourceCount + index] ?? 0),
}));

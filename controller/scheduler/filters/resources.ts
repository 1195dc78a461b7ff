import { resourceNames } from '../../../api/effective-resources.ts';
import { resourceCount } from '../amounts.ts';
import type { Filter } from './filter.ts';

/** As many entries as the CRD lets a ledger have. */
export const maxReservations = 1024;

/** Allocatable minus what is reserved, for each resource of which something is asked. */
export const resourceFilters: readonly Filter[] = resourceNames.map((name, resource) => ({
  name,
  reason: () => `not enough ${name}`,
  applies: (request) => (request.amounts[resource] ?? 0) > 0,
  sieve: ({ reserved, allocatable }, { amounts }, candidates, count) => {
    const asked = amounts[resource] ?? 0;
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      const column = slot * resourceCount + resource;
      if ((reserved[column] ?? 0) + asked <= (allocatable[column] ?? 0)) candidates[kept++] = slot;
    }
    return kept;
  },
}));

/** A ledger that can take another line. */
export const roomFilter: Filter = {
  name: 'room',
  reason: () => `holding ${maxReservations} instances already`,
  applies: () => true,
  sieve: ({ entryCount }, _request, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if ((entryCount[slot] ?? 0) < maxReservations) candidates[kept++] = slot;
    }
    return kept;
  },
};

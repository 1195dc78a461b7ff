import { resourceNames } from '../../../api/effective-resources.ts';
import { resourceCount } from '../amounts.ts';
import type { Filter } from './filter.ts';

/** As many entries as the CRD lets a ledger have. */
export const maxReservations = 1024;

/** Allocatable minus what is reserved, for each resource of which something is asked. */
export const resourceFilters: readonly Filter[] = resourceNames.map((name, index) => ({
  name,
  reason: () => `not enough ${name}`,
  applies: (request) => (request.amounts[index] ?? 0) > 0,
  fits: (snapshot, slot, request) => {
    const column = slot * resourceCount + index;
    return (snapshot.reserved[column] ?? 0) + (request.amounts[index] ?? 0) <= (snapshot.allocatable[column] ?? 0);
  },
}));

/** A ledger that can take another line. */
export const roomFilter: Filter = {
  name: 'room',
  reason: () => `holding ${maxReservations} instances already`,
  applies: () => true,
  fits: (snapshot, slot) => (snapshot.entryCount[slot] ?? 0) < maxReservations,
};

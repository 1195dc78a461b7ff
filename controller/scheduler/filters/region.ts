import type { Filter } from './filter.ts';

/** `placement.region`. */
export const regionFilter: Filter = {
  name: 'region',
  reason: (request) => `not in region ${request.region}`,
  applies: (request) => request.region !== '',
  fits: (snapshot, slot, request) => snapshot.regions[slot] === request.region,
};

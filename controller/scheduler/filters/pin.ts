import type { Filter } from './filter.ts';

/** `placement.providerName`. */
export const pinFilter: Filter = {
  name: 'pin',
  reason: (request) => `not the provider that it is pinned to (${request.providerName})`,
  applies: (request) => request.providerName !== '',
  fits: (snapshot, slot, request) => snapshot.names[slot] === request.providerName,
};

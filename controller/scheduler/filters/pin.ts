import type { Filter } from './filter.ts';

/** `placement.providerName`. */
export const pinFilter: Filter = {
  name: 'pin',
  reason: (request) => `not the provider that it is pinned to (${request.providerName})`,
  applies: (request) => request.providerName !== '',
  sieve: (snapshot, { providerName }, candidates, count) => {
    const pinned = snapshot.slotOf(providerName);
    if (pinned === undefined || !candidates.subarray(0, count).includes(pinned)) return 0;
    candidates[0] = pinned;
    return 1;
  },
};

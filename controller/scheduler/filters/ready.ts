import type { Filter } from './filter.ts';

/** Condition `Ready` of the provider: its agent renews the lease. */
export const readyFilter: Filter = {
  name: 'ready',
  reason: () => 'not ready',
  applies: () => true,
  fits: (snapshot, slot) => snapshot.ready[slot] === 1,
};

import type { Filter } from './filter.ts';

/** The owner's switch, `spec.available`; a provider that is being deleted is not available either. */
export const availableFilter: Filter = {
  name: 'available',
  reason: () => 'withdrawn by their owners',
  applies: () => true,
  fits: (snapshot, slot) => snapshot.available[slot] === 1,
};

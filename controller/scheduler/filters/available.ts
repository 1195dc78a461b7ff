import type { Filter } from './filter.ts';

/** The owner's switch, `spec.available`; a provider that leaves or is being deleted is not available either. */
export const availableFilter: Filter = {
  name: 'available',
  reason: () => 'withdrawn by their owners',
  applies: () => true,
  sieve: ({ available }, _request, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (available[slot] === 1) candidates[kept++] = slot;
    }
    return kept;
  },
};

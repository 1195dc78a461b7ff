import type { Filter } from './filter.ts';

/** Condition `Ready` of the provider: its agent renews the lease. */
export const readyFilter: Filter = {
  name: 'ready',
  reason: () => 'not ready',
  applies: () => true,
  sieve: ({ ready }, _request, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (ready[slot] === 1) candidates[kept++] = slot;
    }
    return kept;
  },
};

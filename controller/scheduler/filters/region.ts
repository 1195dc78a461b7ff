import type { Filter } from './filter.ts';

/** `placement.region`. */
export const regionFilter: Filter = {
  name: 'region',
  reason: (request) => `not in region ${request.region}`,
  applies: (request) => request.region !== '',
  sieve: ({ regions }, { region }, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (regions[slot] === region) candidates[kept++] = slot;
    }
    return kept;
  },
};

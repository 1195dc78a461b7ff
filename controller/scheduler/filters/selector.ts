import { matchesRequirements } from '../../../api/selector.ts';
import type { Filter } from './filter.ts';

/** `placement.providerSelector`. */
export const selectorFilter: Filter = {
  name: 'selector',
  reason: () => 'without the labels that it asks for',
  applies: (request) => request.requirements.length > 0,
  sieve: ({ labels }, { requirements }, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (matchesRequirements(requirements, labels[slot])) candidates[kept++] = slot;
    }
    return kept;
  },
};

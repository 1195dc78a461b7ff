import { untolerated } from '../tolerates.ts';
import type { Filter } from './filter.ts';

/** Taints with the effect NoSchedule. */
export const taintsFilter: Filter = {
  name: 'taints',
  reason: () => 'tainted',
  applies: () => true,
  sieve: ({ taints }, { tolerations }, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      const here = taints[slot];
      if (here === undefined || here.length === 0 || untolerated(here, tolerations, 'NoSchedule') === 0) candidates[kept++] = slot;
    }
    return kept;
  },
};

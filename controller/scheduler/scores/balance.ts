import { resourceCount } from '../amounts.ts';
import type { Score } from './score.ts';

const weight = 1;

/** The least loaded: the greatest share of any resource that would be given away with this instance, from 0 to 1. */
export const balanceScore: Score = {
  name: 'balance',
  weight,
  applies: () => true,
  addCosts: ({ reserved, allocatable }, { amounts }, candidates, count, costs) => {
    for (let index = 0; index < count; index += 1) {
      const first = (candidates[index] ?? 0) * resourceCount;
      let load = 0;
      for (let resource = 0; resource < resourceCount; resource += 1) {
        const asked = amounts[resource] ?? 0;
        if (asked === 0) continue;
        const share = ((reserved[first + resource] ?? 0) + asked) / (allocatable[first + resource] ?? 1);
        if (share > load) load = share;
      }
      costs[index] = (costs[index] ?? 0) + weight * load;
    }
  },
};

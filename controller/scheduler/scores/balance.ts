import { resourceCount } from '../amounts.ts';
import type { Score } from './score.ts';

/** The least loaded: the greatest share of any resource that would be given away with this instance, from 0 to 1. */
export const balanceScore: Score = {
  name: 'balance',
  weight: 1,
  applies: () => true,
  prepare: ({ reserved, allocatable }, { amounts }) => {
    return (slot) => {
      let load = 0;
      for (let index = 0; index < resourceCount; index += 1) {
        const amount = amounts[index] ?? 0;
        if (amount === 0) continue;
        const column = slot * resourceCount + index;
        load = Math.max(load, ((reserved[column] ?? 0) + amount) / (allocatable[column] ?? 1));
      }
      return load;
    };
  },
};

import { untolerated } from '../tolerates.ts';
import type { Score } from './score.ts';

const weight = 1_000_000;

/** Taints with the effect PreferNoSchedule that the instance does not tolerate: such a provider is taken only where no other fits. */
export const preferNoScheduleScore: Score = {
  name: 'prefer-no-schedule',
  weight,
  applies: () => true,
  addCosts: ({ taints }, { tolerations }, candidates, count, costs) => {
    for (let index = 0; index < count; index += 1) {
      const here = taints[candidates[index] ?? 0];
      if (here === undefined || here.length === 0) continue;
      costs[index] = (costs[index] ?? 0) + weight * untolerated(here, tolerations, 'PreferNoSchedule');
    }
  },
};

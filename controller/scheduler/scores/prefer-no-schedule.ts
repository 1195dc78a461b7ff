import { untolerated } from '../tolerates.ts';
import type { Score } from './score.ts';

/** Taints with the effect PreferNoSchedule that the instance does not tolerate: such a provider is taken only where no other fits. */
export const preferNoScheduleScore: Score = {
  name: 'prefer-no-schedule',
  weight: 1_000_000,
  applies: () => true,
  prepare: (snapshot, request) => (slot) => {
    const taints = snapshot.taints[slot];
    return taints === undefined || taints.length === 0 ? 0 : untolerated(taints, request.tolerations, 'PreferNoSchedule');
  },
};

import { untolerated } from '../tolerates.ts';
import type { Filter } from './filter.ts';

/** Taints with the effect NoSchedule. */
export const taintsFilter: Filter = {
  name: 'taints',
  reason: () => 'tainted',
  applies: () => true,
  fits: (snapshot, slot, request) => {
    const taints = snapshot.taints[slot];
    return taints === undefined || taints.length === 0 || untolerated(taints, request.tolerations, 'NoSchedule') === 0;
  },
};

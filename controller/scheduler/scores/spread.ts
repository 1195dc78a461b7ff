import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';
import type { Score } from './score.ts';

const weight = 100;

function keyOf(snapshot: SnapshotView, request: PlacementRequest): (slot: number) => string | number {
  switch (request.spreadBy) {
    case 'owner':
      return (slot) => snapshot.owners[slot] ?? '';
    case 'region':
      return (slot) => snapshot.regions[slot] ?? '';
    case 'provider':
    case undefined:
      return (slot) => slot;
  }
}

/** `placement.spread`: the fewest of the namespace's instances, by owner, provider or region. */
export const spreadScore: Score = {
  name: 'spread',
  weight,
  applies: (request) => request.spreadBy !== undefined,
  addCosts: (snapshot, request, candidates, count, costs) => {
    const groupOf = keyOf(snapshot, request);
    const counts = new Map<string | number, number>();
    for (const [slot, placed] of snapshot.countsOf(request.namespace)) counts.set(groupOf(slot), (counts.get(groupOf(slot)) ?? 0) + placed);
    if (counts.size === 0) return;
    for (let index = 0; index < count; index += 1) {
      costs[index] = (costs[index] ?? 0) + weight * (counts.get(groupOf(candidates[index] ?? 0)) ?? 0);
    }
  },
};

import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';
import type { Score } from './score.ts';

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
  weight: 100,
  applies: (request) => request.spreadBy !== undefined,
  prepare: (snapshot, request) => {
    const groupOf = keyOf(snapshot, request);
    const counts = new Map<string | number, number>();
    for (const [slot, count] of snapshot.countsOf(request.namespace)) counts.set(groupOf(slot), (counts.get(groupOf(slot)) ?? 0) + count);
    return (slot) => counts.get(groupOf(slot)) ?? 0;
  },
};

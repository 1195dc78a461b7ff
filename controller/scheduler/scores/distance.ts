import { haversine, kmOfHaversine } from '../geography.ts';
import type { Score } from './score.ts';

const weight = 2;

/** `placement.near`: the nearer the better; 1 at the greatest distance that is allowed. */
export const distanceScore: Score = {
  name: 'distance',
  weight,
  applies: (request) => request.near !== undefined,
  addCosts: ({ x, y, z }, { near }, candidates, count, costs) => {
    if (near === undefined) return;
    const { point, maxDistanceKm } = near;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      const away = haversine((x[slot] ?? 0) - point.x, (y[slot] ?? 0) - point.y, (z[slot] ?? 0) - point.z);
      costs[index] = (costs[index] ?? 0) + weight * (kmOfHaversine(away) / maxDistanceKm);
    }
  },
};

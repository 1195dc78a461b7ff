import { haversine, kmOfHaversine } from '../geography.ts';
import type { Score } from './score.ts';

/** `placement.near`: the nearer the better; 1 at the greatest distance that is allowed. */
export const distanceScore: Score = {
  name: 'distance',
  weight: 2,
  applies: (request) => request.near !== undefined,
  prepare: ({ x, y, z }, { near }) => {
    const { point, maxDistanceKm } = near ?? { point: { x: 0, y: 0, z: 0 }, maxDistanceKm: 1 };
    return (slot) => kmOfHaversine(haversine((x[slot] ?? 0) - point.x, (y[slot] ?? 0) - point.y, (z[slot] ?? 0) - point.z)) / maxDistanceKm;
  },
};

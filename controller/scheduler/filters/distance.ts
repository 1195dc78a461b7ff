import { haversine } from '../geography.ts';
import type { Filter } from './filter.ts';

/** `placement.near` asks for a location, so a provider without one cannot be near. */
export const locatedFilter: Filter = {
  name: 'located',
  reason: () => 'without a location',
  applies: (request) => request.near !== undefined,
  fits: (snapshot, slot) => snapshot.located[slot] === 1,
};

/** `placement.near.maxDistanceKm`, along the earth's surface. */
export const distanceFilter: Filter = {
  name: 'distance',
  reason: (request) => `too far (over ${request.near?.maxDistanceKm ?? 0} km)`,
  applies: (request) => request.near !== undefined,
  fits: ({ x, y, z }, slot, { near }) => {
    if (near === undefined) return true;
    const { point, maxHaversine } = near;
    return haversine((x[slot] ?? 0) - point.x, (y[slot] ?? 0) - point.y, (z[slot] ?? 0) - point.z) <= maxHaversine;
  },
};

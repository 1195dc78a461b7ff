import { haversine } from '../geography.ts';
import type { Filter } from './filter.ts';

/** `placement.near` asks for a location, so a provider without one cannot be near. */
export const locatedFilter: Filter = {
  name: 'located',
  reason: () => 'without a location',
  applies: (request) => request.near !== undefined,
  sieve: ({ located }, _request, candidates, count) => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (located[slot] === 1) candidates[kept++] = slot;
    }
    return kept;
  },
};

/** `placement.near.maxDistanceKm`, along the earth's surface. */
export const distanceFilter: Filter = {
  name: 'distance',
  reason: (request) => `too far (over ${request.near?.maxDistanceKm ?? 0} km)`,
  applies: (request) => request.near !== undefined,
  sieve: ({ x, y, z }, { near }, candidates, count) => {
    if (near === undefined) return count;
    const { point, maxHaversine } = near;
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      const away = haversine((x[slot] ?? 0) - point.x, (y[slot] ?? 0) - point.y, (z[slot] ?? 0) - point.z);
      if (away <= maxHaversine) candidates[kept++] = slot;
    }
    return kept;
  },
};

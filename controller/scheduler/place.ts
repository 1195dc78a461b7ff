/** Chooses a provider for one instance, the exact best: filters sieve a list of slots, scores add costs to those that are left. Pure. */
import { availableFilter } from './filters/available.ts';
import { distanceFilter, locatedFilter } from './filters/distance.ts';
import { enforcementFilters } from './filters/enforcement.ts';
import type { Filter } from './filters/filter.ts';
import { ownerPolicyFilters } from './filters/owner-policy.ts';
import { perInstanceMaxFilters } from './filters/per-instance-max.ts';
import { pinFilter } from './filters/pin.ts';
import { readyFilter } from './filters/ready.ts';
import { regionFilter } from './filters/region.ts';
import { resourceFilters, roomFilter } from './filters/resources.ts';
import { selectorFilter } from './filters/selector.ts';
import { taintsFilter } from './filters/taints.ts';
import { mixHashes } from './hash.ts';
import type { PlacementRequest } from './request.ts';
import { balanceScore } from './scores/balance.ts';
import { distanceScore } from './scores/distance.ts';
import { preferNoScheduleScore } from './scores/prefer-no-schedule.ts';
import type { Score } from './scores/score.ts';
import { spreadScore } from './scores/spread.ts';
import type { SnapshotView } from './snapshot.ts';

/** In the order in which they are asked; a provider counts under the first that refuses it. */
export const filters: readonly Filter[] = [
  pinFilter,
  availableFilter,
  readyFilter,
  ...ownerPolicyFilters,
  ...enforcementFilters,
  selectorFilter,
  taintsFilter,
  regionFilter,
  locatedFilter,
  distanceFilter,
  ...resourceFilters,
  ...perInstanceMaxFilters,
  roomFilter,
];

export const scores: readonly Score[] = [preferNoScheduleScore, spreadScore, distanceScore, balanceScore];

export interface Rejection {
  reason: string;
  count: number;
}

export type PlaceResult =
  | { placed: true; slot: number; providerName: string; providerUid: string; cost: number }
  /** `rejections` add up to `providers`, the most frequent first. */
  | { placed: false; providers: number; rejections: Rejection[] };

export function place(snapshot: SnapshotView, request: PlacementRequest): PlaceResult {
  const candidates = new Int32Array(snapshot.size);
  let count = 0;
  for (let slot = 0; slot < snapshot.slots; slot += 1) if (snapshot.present[slot] === 1) candidates[count++] = slot;
  const rejections: Rejection[] = [];
  for (const filter of filters) {
    if (count === 0) break;
    if (!filter.applies(request)) continue;
    const kept = filter.sieve(snapshot, request, candidates, count);
    if (kept < count) rejections.push({ reason: filter.reason(request), count: count - kept });
    count = kept;
  }
  if (count === 0) return { placed: false, providers: snapshot.size, rejections: rejections.sort((a, b) => b.count - a.count) };
  return choose(snapshot, request, candidates, count);
}

function choose(snapshot: SnapshotView, request: PlacementRequest, candidates: Int32Array, count: number): PlaceResult {
  const costs = new Float64Array(count);
  for (const score of scores) if (score.applies(request)) score.addCosts(snapshot, request, candidates, count, costs);
  let best = candidates[0] ?? 0;
  let bestCost = costs[0] ?? 0;
  for (let index = 1; index < count; index += 1) {
    const cost = costs[index] ?? 0;
    if (cost > bestCost) continue;
    const slot = candidates[index] ?? 0;
    if (cost === bestCost && !winsTie(snapshot, request, slot, best)) continue;
    best = slot;
    bestCost = cost;
  }
  return { placed: true, slot: best, providerName: snapshot.names[best] ?? '', providerUid: snapshot.uids[best] ?? '', cost: bestCost };
}

/** Whether this one provider could take the instance now. */
export function fitsOn(snapshot: SnapshotView, slot: number, request: PlacementRequest): boolean {
  const candidate = Int32Array.of(slot);
  return filters.every((filter) => !filter.applies(request) || filter.sieve(snapshot, request, candidate, 1) === 1);
}

/**
 * Every instance has its own order of providers, so that instances that are placed at once do not herd on one, while two schedulers that place
 * the same instance choose the same.
 */
function winsTie({ hash, names }: SnapshotView, request: PlacementRequest, slot: number, other: number): boolean {
  const mine = mixHashes(request.hash, hash[slot] ?? 0);
  const theirs = mixHashes(request.hash, hash[other] ?? 0);
  return mine === theirs ? (names[slot] ?? '') < (names[other] ?? '') : mine < theirs;
}

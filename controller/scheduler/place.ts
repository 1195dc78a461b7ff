/** Chooses a provider for one instance: one pass over the columns of the snapshot, the exact best. Pure. */
import { availableFilter } from './filters/available.ts';
import { distanceFilter, locatedFilter } from './filters/distance.ts';
import type { Filter } from './filters/filter.ts';
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
  const asked = filters.filter((filter) => filter.applies(request));
  const weighed = scores
    .filter((score) => score.applies(request))
    .map((score) => ({ weight: score.weight, costOf: score.prepare(snapshot, request) }));
  const refused = new Uint32Array(asked.length);
  const { present, slots } = snapshot;
  let best = -1;
  let bestCost = Infinity;
  for (let slot = 0; slot < slots; slot += 1) {
    if (present[slot] === 0) continue;
    const refusal = firstRefusal(asked, snapshot, slot, request);
    if (refusal !== -1) {
      refused[refusal] = (refused[refusal] ?? 0) + 1;
      continue;
    }
    let cost = 0;
    for (const { weight, costOf } of weighed) cost += weight * costOf(slot);
    if (cost < bestCost || (cost === bestCost && winsTie(snapshot, request, slot, best))) {
      best = slot;
      bestCost = cost;
    }
  }
  if (best !== -1)
    return { placed: true, slot: best, providerName: snapshot.names[best] ?? '', providerUid: snapshot.uids[best] ?? '', cost: bestCost };
  return { placed: false, providers: snapshot.size, rejections: rejectionsOf(asked, refused, request) };
}

/** Whether this one provider could take the instance now. */
export function fitsOn(snapshot: SnapshotView, slot: number, request: PlacementRequest): boolean {
  return (
    firstRefusal(
      filters.filter((filter) => filter.applies(request)),
      snapshot,
      slot,
      request,
    ) === -1
  );
}

function firstRefusal(asked: readonly Filter[], snapshot: SnapshotView, slot: number, request: PlacementRequest): number {
  for (let index = 0; index < asked.length; index += 1) {
    if (asked[index]?.fits(snapshot, slot, request) === false) return index;
  }
  return -1;
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

function rejectionsOf(asked: readonly Filter[], refused: Uint32Array, request: PlacementRequest): Rejection[] {
  return asked
    .map((filter, index) => ({ reason: filter.reason(request), count: refused[index] ?? 0 }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
}

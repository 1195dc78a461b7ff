import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';

/** One preference among providers that all fit. The provider with the least sum of `weight × cost` is chosen. */
export interface Score {
  readonly name: string;
  readonly weight: number;
  applies(request: PlacementRequest): boolean;
  /**
   * Adds `weight × cost` of each of the first `count` candidates to the costs at the same index; a cost of 0 is best, and 1 is clearly worse.
   * With a loop of its own, as filters have.
   */
  addCosts(snapshot: SnapshotView, request: PlacementRequest, candidates: Int32Array, count: number, costs: Float64Array): void;
}

import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';

/** One preference among providers that all fit. The provider with the least sum of `weight × cost` is chosen. */
export interface Score {
  readonly name: string;
  readonly weight: number;
  applies(request: PlacementRequest): boolean;
  /** Answers a function that is called for every provider that fits; 0 is best, and 1 is clearly worse. */
  prepare(snapshot: SnapshotView, request: PlacementRequest): (slot: number) => number;
}

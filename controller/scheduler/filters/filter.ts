import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';

/** One reason why a provider may not take an instance. A provider counts under the first filter that refuses it. */
export interface Filter {
  readonly name: string;
  /** Completes "7 …" in the sentence that a pending instance shows. */
  reason(request: PlacementRequest): string;
  /** Whether the instance asks for this at all. */
  applies(request: PlacementRequest): boolean;
  /**
   * Moves those of the first `count` candidates that fit to the front, in order, and answers how many they are. Every filter has a loop of its
   * own: one loop that calls each filter for each provider is several times slower, since the engine cannot inline the calls.
   */
  sieve(snapshot: SnapshotView, request: PlacementRequest, candidates: Int32Array, count: number): number;
}

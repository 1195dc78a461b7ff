import type { PlacementRequest } from '../request.ts';
import type { SnapshotView } from '../snapshot.ts';

/** One reason why a provider may not take an instance. A provider counts under the first filter that refuses it. */
export interface Filter {
  readonly name: string;
  /** Completes "7 …" in the sentence that a pending instance shows. */
  reason(request: PlacementRequest): string;
  /** Whether the instance asks for this at all. */
  applies(request: PlacementRequest): boolean;
  /** Called for every provider, so it allocates nothing. */
  fits(snapshot: SnapshotView, slot: number, request: PlacementRequest): boolean;
}

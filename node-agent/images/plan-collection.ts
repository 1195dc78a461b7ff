/** Which images are removed when the disk fills: kubelet's rules (`pkg/kubelet/images/image_gc_manager.go`). Pure. */

export interface CollectableImage {
  id: string;
  /** What it takes on the disk; layers that others share are counted with each. */
  sizeBytes: number;
  /** Whether a registry has it: what was imported by hand could not be had again. */
  fromRegistry: boolean;
  /** When it was last seen in use, or else first seen. */
  lastUsedAtMs: number;
  firstSeenAtMs: number;
}

export interface CollectionFacts {
  images: readonly CollectableImage[];
  /** By a container, running or not, by an instance that waits for it, or by a pull that is under way. */
  inUse: ReadonlySet<string>;
  disk: { sizeBytes: number; freeBytes: number };
  nowMs: number;
}

/** Of the disk that is used: collection begins at the first and goes on down to the second. */
const highFraction = 0.85;
const lowFraction = 0.8;
/** Younger ones may be on their way to their first container. */
const leastAgeMs = 120_000;

export interface CollectionPlan {
  /** Ids, least recently used first, more than may be needed: it is enough when {@link bytesToFree} are free. */
  candidates: string[];
  /** 0 when there is no pressure. */
  bytesToFree: number;
}

export function planCollection({ images, inUse, disk, nowMs }: CollectionFacts): CollectionPlan {
  const usedBytes = disk.sizeBytes - disk.freeBytes;
  if (disk.sizeBytes === 0 || usedBytes < highFraction * disk.sizeBytes) return { candidates: [], bytesToFree: 0 };
  const candidates = images
    .filter(({ id, fromRegistry, firstSeenAtMs }) => fromRegistry && !inUse.has(id) && nowMs - firstSeenAtMs >= leastAgeMs)
    .sort((a, b) => a.lastUsedAtMs - b.lastUsedAtMs || a.firstSeenAtMs - b.firstSeenAtMs)
    .map(({ id }) => id);
  return { candidates, bytesToFree: Math.ceil(usedBytes - lowFraction * disk.sizeBytes) };
}

/** What the agent needs of a container engine. `docker-engine.ts` and `fake-engine.ts` implement it; one contract test runs on both. */

export interface Engine {
  /** Rejects with `unavailable` when the engine does not answer. */
  info(signal?: AbortSignal): Promise<EngineInfo>;
  /** Every container that bears the provider's uid in its label (any uid when undefined), whatever its state. Others are never seen. */
  listContainers(providerUid: string | undefined): Promise<ObservedContainer[]>;
  /** By id or name; undefined when there is none. */
  inspectContainer(idOrName: string): Promise<ObservedContainer | undefined>;
  /** Rejects with `conflict` when a container of that name exists, `notFound` when the image is absent. */
  createContainer(spec: ContainerSpec): Promise<string>;
  /** Does nothing to a running one. Rejects with `rejected` when its command cannot be run. */
  startContainer(id: string): Promise<void>;
  /** SIGTERM, then SIGKILL after the grace; resolves when it has ended, also when it had before. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** SIGKILL; resolves also when it does not run. */
  killContainer(id: string): Promise<void>;
  /** Freezes what runs in it, at once; resolves also when it does not run or is paused already. */
  pauseContainer(id: string): Promise<void>;
  /** Resolves also when it is not paused. */
  unpauseContainer(id: string): Promise<void>;
  /** With its writable layer and anonymous volumes, running or not; resolves also when it is gone. */
  removeContainer(id: string): Promise<void>;
  /** Changes limits of a container, running or not. Rejects with `rejected` when they cannot be applied, for example memory below what is in use. */
  updateLimits(id: string, limits: ContainerLimits): Promise<void>;
  /** Undefined when the engine does not have the image. */
  inspectImage(reference: string): Promise<ImageInfo | undefined>;
  /** Resolves when the image is there, and the registry lets whoever has these credentials have it, also if it was there before. */
  pullImage(reference: string, options: PullOptions): Promise<void>;
  /** Makes an image of one layer, under a name that it did not have. `tar` is of its root directory. */
  importImage(reference: string, tar: Uint8Array): Promise<void>;
  /** All that the engine has. */
  listImages(): Promise<ListedImage[]>;
  /** With all its names. Rejects with `conflict` while a container uses it; resolves also when it is gone. */
  removeImage(id: string): Promise<void>;
  /** What happens to containers of one provider, from now on; goes on over restarts of the engine and misses nothing that the engine remembers. */
  watchEvents(options: EngineEventOptions): EngineEventStream;
  /** Bytes that the container wrote to its own layer; undefined when there is no such container. */
  diskUsage(id: string): Promise<number | undefined>;
}

export interface EngineInfo {
  /** For example `docker`. */
  name: string;
  version: string;
  storageDriver: string;
  /** Where the engine keeps images and containers. */
  dataRoot: string;
  cgroupVersion: 1 | 2;
  runtimes: string[];
  /** Whether {@link ContainerSpec.diskBytes} is enforced. */
  diskQuota: boolean;
  /** Whether bandwidth limits are enforced. */
  bandwidth?: boolean;
  /** Whether root in a container is nobody on the machine. */
  remapped?: boolean;
  liveRestore: boolean;
}

/** What is fixed for the life of a container, and the limits that it starts with. */
export interface ContainerSpec {
  /** Unique in the engine: what makes a second container of one instance impossible. */
  name: string;
  image: string;
  /** Replaces the image's entrypoint and command, as in a Kubernetes container. */
  command?: readonly string[];
  args?: readonly string[];
  env: readonly { name: string; value: string }[];
  workingDir?: string;
  hostname: string;
  /** The engine's ordinary one where absent. */
  runtime?: 'runsc';
  labels: Readonly<Record<string, string>>;
  limits: ContainerLimits;
  /** Ids of graphics processors that it has for itself. */
  gpus?: readonly string[];
  /** Hard bound of the image and the writable layer together; absent where the engine has no quota. */
  diskBytes?: number;
}

/** What can change while the container runs. What the engine itself holds is always set: it cannot take a limit away. */
export interface ContainerLimits {
  /** Hard, in thousandths of a logical processor. */
  cpuMillis: number;
  /** Relative weight under contention; 1024 for each processor requested. */
  cpuShares: number;
  /** Logical processors that it may run on, as the kernel writes lists: `0-1,4`. */
  cpuset: string;
  /** Hard, without swap. */
  memoryBytes: number;
  /** Soft: reclaimed down to this first when memory is short. */
  memoryReservationBytes: number;
  pids: number;
  /** Towards the instance and away from it, in bit/s; absent is not limited, and always where {@link EngineInfo.bandwidth} is not true. */
  ingressBitsPerSecond?: number;
  egressBitsPerSecond?: number;
}

export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface ObservedContainer {
  id: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** As it was asked for. */
  image: string;
  /** `sha256:…`. */
  imageId: string;
  state: ContainerState;
  /** Directories of this machine in which the container writes: its own layer, where that is a plain directory, and what its image wants volumes for. */
  writes?: { layer?: string; volumes: readonly string[] };
  /** Of the last run; 0 before the first. */
  exitCode: number;
  oomKilled: boolean;
  /** Why the last start did not work; empty when it did. */
  error: string;
  createdAtMs: number;
  /** Of its first process, in the engine's own count of processes; absent when it does not run. */
  pid?: number;
  /** Of the last run; absent before the first. */
  startedAtMs?: number;
  finishedAtMs?: number;
  limits: ContainerLimits;
  /** Ids of graphics processors that it was made with; absent for none. */
  gpus?: readonly string[];
}

export interface ImageInfo {
  /** `sha256:…`. */
  id: string;
  sizeBytes: number;
  /** Paths that the image wants a volume at. */
  volumes?: readonly string[];
  /** `name@sha256:…`, empty for images that came from no registry. */
  digests: readonly string[];
}

export interface ListedImage extends ImageInfo {
  /** `name:tag`; empty for one that is known by its digest alone. */
  tags: readonly string[];
}

export interface PullOptions {
  onProgress: (progress: PullProgress) => void;
  signal: AbortSignal;
  /** Absent: as anybody. Never kept, never logged. */
  credentials?: { username: string; password: string };
}

/** Sums over the layers that the engine has told of so far. */
export interface PullProgress {
  downloadedBytes: number;
  totalBytes: number;
  layersDone: number;
  layers: number;
}

export interface EngineEventOptions {
  providerUid: string;
  /** Never throws. */
  onEvent(event: EngineEvent): void;
  /** The stream broke, or is whole again: what happened in between is told of as far as the engine remembers, and must be looked up. */
  onConnection(connected: boolean): void;
}

export interface EngineEvent {
  containerId: string;
  /** From the container's labels. */
  instanceUid: string;
  /** `start`, `die`, `oom`, `destroy`…: the engine's own words. */
  action: string;
  atMs: number;
}

export interface EngineEventStream {
  /** No event comes after it resolved. */
  stop(): Promise<void>;
}

/**
 * `unavailable`: the engine does not answer; `notFound`, `conflict`: as in HTTP; `rejected`: it will never work as asked; `failed`: it
 * did not work, and may later.
 */
export type EngineErrorKind = 'unavailable' | 'notFound' | 'conflict' | 'rejected' | 'failed';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly kind: EngineErrorKind;

  constructor(kind: EngineErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** The class of anything thrown by an engine. */
export function engineErrorKind(error: unknown): EngineErrorKind {
  return error instanceof EngineError ? error.kind : 'failed';
}

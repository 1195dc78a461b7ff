/** What a plan is made from, and what it is made of. All of it is plain data: who fills it in is `agent.ts`. */
import type { EffectiveResources } from '../../api/effective-resources.ts';
import type { ContainerLimits, ContainerSpec, EngineErrorKind, ImageInfo, ObservedContainer } from '../engine/engine.ts';
import type { DiskOrder } from '../limits/disk-watchdog.ts';
import type { CpuPlan } from '../limits/cpu-pinning.ts';

export interface World {
  /** Milliseconds since the epoch. */
  nowMs: number;
  providerUid: string;
  engine: 'ready' | 'unavailable';
  /** Whether the API's list of our instances was read in whole. Before that, a container without an instance proves nothing. */
  synced: boolean;
  /** By instance uid: assigned to this provider, whatever its phase. */
  desired: ReadonlyMap<string, DesiredInstance>;
  /** By instance uid. */
  observed: ReadonlyMap<string, readonly ObservedContainer[]>;
  /** By instance uid. */
  journal: ReadonlyMap<string, JournalEntry>;
  /** By {@link ImageWant.key}; what is absent was not looked up yet. */
  images: ReadonlyMap<string, ImageState>;
  cpus: CpuPlan;
  /** Ids of the machine's graphics processors. */
  gpus: readonly string[];
  /** Of containers whose disk is nearly full, by their id. */
  diskOrders?: ReadonlyMap<string, DiskOrder>;
  /** Why nothing new starts: the machine's disk is nearly full. */
  diskClosed?: string;
  /** Whether the engine holds {@link ContainerSpec.diskBytes}. */
  diskQuota: boolean;
  /** Whether the engine holds bandwidth limits. */
  bandwidth: boolean;
  /** Why the walls around instances do not stand; absent when they do, and where the engine is not ours to wall in. */
  wallsDown?: string;
}

/** An instance as the agent understands it. */
export interface DesiredInstance {
  uid: string;
  namespace: string;
  name: string;
  generation: number;
  epoch: number;
  deleting: boolean;
  /** It ended for good: nothing of it is started again. */
  finished: boolean;
  powerState: 'Running' | 'Stopped';
  restartPolicy: 'Always' | 'OnFailure' | 'Never';
  /** Changes with whatever a container cannot change while it lives. */
  specHash: string;
  container: Pick<ContainerSpec, 'command' | 'args' | 'workingDir' | 'hostname' | 'runtime'>;
  image: ImageWant;
  /** In the order in which they are set; a later one of the same name counts. */
  environment: readonly EnvironmentEntry[];
  /** As the owner's policy cut them. */
  resources: EffectiveResources;
  /** What keeps it from running, whatever the API says. */
  held?: Hold;
  /** What the owner's policy cut, in words. */
  throttled?: readonly string[];
  /** What the API says already; only for a journal that was lost. */
  reportedRestartCount: number;
}

/** A reason not to run, and the sentence that the status shows. */
export interface Hold {
  reason: string;
  message: string;
}

/** An image as an instance may have it. */
export interface ImageWant {
  /** Of those who may use the same: an image that a registry guards is there only for who can open it. */
  key: string;
  /** What is pulled: by digest once it was resolved. */
  reference: string;
  /** As the spec has it. */
  written: string;
  /** Where the secrets are. */
  namespace: string;
  /** Names of secrets. */
  pullSecrets: readonly string[];
}

/** Variables of a container, with where their values come from: what is in objects is read only when a container is made. */
export type EnvironmentEntry =
  | { kind: 'value'; name: string; value: string }
  | { kind: 'key'; name: string; source: EnvironmentSource; key: string }
  | { kind: 'all'; prefix: string; source: EnvironmentSource };

export interface EnvironmentSource {
  kind: 'Secret' | 'ConfigMap';
  /** In the instance's namespace. */
  name: string;
  /** What is missing is left out. */
  optional: boolean;
}

/** What the agent must remember of an instance and cannot read from its container. */
export interface JournalEntry {
  uid: string;
  /** The highest placement that was acted on: an older one is a stale view. */
  epoch: number;
  /** Restarts in this placement. */
  restartCount: number;
  /** Runs in a row that ended early and were started again; sets the next wait. */
  crashCount: number;
  /** The agent is stopping the container, or did: its end is no crash. */
  stopRequested: boolean;
  /** The agent froze it because a disk is full. */
  pausedForDisk?: boolean;
  /** The end before the present run. */
  lastEnd?: ContainerEnd;
  /** What last did not work, until something does. */
  failure?: ActionFailure;
}

export interface ContainerEnd {
  containerId: string;
  exitCode: number;
  oomKilled: boolean;
  startedAtMs?: number;
  finishedAtMs: number;
  /** Whether the agent ended it. */
  stopped: boolean;
}

export interface ActionFailure {
  action: Action['type'];
  kind: EngineErrorKind;
  /** Where it has one of its own; else that of the action counts. */
  reason?: string;
  message: string;
  atMs: number;
  /** In a row. */
  count: number;
  /** A new generation is tried at once. */
  generation: number;
}

export type ImageState =
  | { kind: 'present'; info: ImageInfo; pulled: boolean }
  | { kind: 'missing' }
  /** In the queue when progress is absent. */
  | { kind: 'pulling'; progress?: string }
  | { kind: 'failed'; message: string; retryAtMs: number };

/** One step for one instance. A `journal` is stored before the step is taken, so that a crash in between is understood afterwards. */
export type Action =
  | { type: 'adopt'; uid: string; journal: JournalEntry }
  | { type: 'forget'; uid: string }
  | { type: 'checkImage'; uid: string; image: ImageWant }
  | { type: 'pull'; uid: string; image: ImageWant }
  | { type: 'create'; uid: string; imageKey: string; spec: Omit<ContainerSpec, 'env'>; environment: Environment; journal: JournalEntry }
  | { type: 'start'; uid: string; containerId: string; journal: JournalEntry }
  | { type: 'stop'; uid: string; containerId: string; graceSeconds: number; journal: JournalEntry }
  | { type: 'pause' | 'unpause'; uid: string; containerId: string; journal: JournalEntry }
  | { type: 'updateLimits'; uid: string; containerId: string; limits: ContainerLimits }
  | { type: 'recreate'; uid: string; containerId: string; graceSeconds: number; journal: JournalEntry }
  | { type: 'remove'; uid: string; containerId: string; graceSeconds: number; why: RemovalReason };

export interface Environment {
  namespace: string;
  entries: readonly EnvironmentEntry[];
}

export type RemovalReason = 'deleted' | 'unassigned' | 'duplicate' | 'dead';

/** At most one step at a time for an instance; after it the world is looked at again. */
export interface Decision {
  action?: Action;
  /** Look again then, though nothing happened. */
  recheckAtMs?: number;
  /** Why the instance is not where it should be, as its status says it. */
  waiting?: { reason: string; message: string };
}

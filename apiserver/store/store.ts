/**
 * The narrow port between the API server and what keeps its objects. `etcd-store.ts` is the only implementation, this folder the only
 * importer of etcd3; `test/contract/store.test.ts` holds every implementation to the rules that stand here.
 *
 * Revision rules (after k8s.io/apiserver `pkg/storage/interfaces.go` and etcd's own guarantees):
 * 1. Every write that succeeds has a revision, greater than that of every write acknowledged before it was sent. Revisions are positive
 *    and stay below 2^53.
 * 2. An entry's `modRevision` is the revision of the write that last changed it. `replace` and `remove` succeed only if the entry still
 *    has the expected `modRevision`; of any number of racers exactly one wins. `create` succeeds only if the key is absent.
 * 3. A read's `revision` is that of the whole store at the time of the read: every write with a revision up to it is in the answer, none after it.
 * 4. `list` with `revision` answers as of that revision, or throws {@link CompactedError}; pages of one list asked for with the first
 *    page's revision are one consistent picture.
 * 5. `watch` from revision R delivers every change with a revision greater than R, each once, in order; changes of one transaction stand
 *    together. It survives reconnects. It ends only by its signal, or with {@link CompactedError} when what it needs was compacted away.
 * 6. A write whose outcome is unknown (the connection broke) throws {@link OutcomeUnknownError}; it is never silently sent twice.
 */
export interface Store {
  get(key: string): Promise<GetResult>;
  list(prefix: string, options?: ListOptions): Promise<ListResult>;
  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<WriteResult>;
  replace(key: string, value: Uint8Array, expectedModRevision: number, options?: WriteOptions): Promise<WriteResult>;
  remove(key: string, expectedModRevision: number): Promise<WriteResult>;
  /** The revision of the whole store, by a read that etcd answers through its leader. */
  currentRevision(): Promise<number>;
  watch(options: WatchOptions): StoreWatch;
  /** Forgets history before `revision`: reads and watches there throw {@link CompactedError}. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

export interface Entry {
  key: string;
  value: Uint8Array;
  /** Revision of the write that created the key. */
  createRevision: number;
  modRevision: number;
}

export interface GetResult {
  entry: Entry | undefined;
  revision: number;
}

export interface ListOptions {
  /** Most entries to answer with; all when absent. */
  limit?: number;
  /** First key to answer with, inclusive; it lies under the prefix. */
  startKey?: string;
  /** Answer as of this revision; now when absent. */
  revision?: number;
}

export interface ListResult {
  /** In byte order of their keys. */
  entries: Entry[];
  revision: number;
  /** True when entries beyond `limit` were left out. */
  more: boolean;
  /** How many entries under the prefix, from `startKey` on, lie beyond this page. */
  remaining: number;
}

export interface WriteOptions {
  /** The entry vanishes this many seconds after the write (events); the store may round up. */
  timeToLiveSeconds?: number;
}

export type WriteResult =
  | { succeeded: true; revision: number }
  /** The compare failed; `current` is what the store has instead, at `revision`. */
  | { succeeded: false; current: Entry | undefined; revision: number };

export interface WatchOptions {
  prefix: string;
  /** Deliver what happened after this revision. */
  afterRevision: number;
  /** Called in order, never concurrently, once for each revision (all changes of one transaction together). Must not throw. */
  onChanges(changes: Change[], revision: number): void;
  /** Called once, when the watch ends other than by `close`. */
  onEnd(error: CompactedError | Error): void;
}

export type Change =
  | { type: 'put'; entry: Entry; previous: Entry | undefined }
  /** `previous` is absent only when it was compacted away. */
  | { type: 'delete'; key: string; modRevision: number; previous: Entry | undefined };

export interface StoreWatch {
  close(): Promise<void>;
}

/** What was asked for lies before `compactRevision` and is gone: list anew. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly compactRevision: number;
  constructor(compactRevision: number) {
    super(`the requested revision was compacted; the oldest available is ${compactRevision}`);
    this.compactRevision = compactRevision;
  }
}

/** A read at a revision that the store has not reached. */
export class FutureRevisionError extends Error {
  override readonly name = 'FutureRevisionError';
  readonly currentRevision: number;
  constructor(currentRevision: number) {
    super(`the requested revision is in the future; the current one is ${currentRevision}`);
    this.currentRevision = currentRevision;
  }
}

/** The store cannot be reached, or did not answer in time; nothing was written. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** The connection broke after a write was sent: it may or may not have happened. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/** The store refuses a write because of its size; nothing was written. */
export class ValueTooLargeError extends Error {
  override readonly name = 'ValueTooLargeError';
}

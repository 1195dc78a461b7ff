/**
 * A local, indexed copy of a resource that is kept true by list and watch and never gives up: 410, dropped connections, restarts of the
 * server and hours of absence end in a relist, with full-jitter backoff. `kube-informer.ts` implements it.
 */
import type { KubernetesObject } from '../api/object.ts';

export interface Informer<T extends KubernetesObject> {
  /** Key as `formatKey` writes it. Objects are frozen in spirit: never change one. */
  get(key: string): T | undefined;
  list(): readonly T[];
  /** Objects for which the index function named `index` answered `value`. */
  byIndex(index: string, value: string): readonly T[];
  /**
   * Called after the copy changed, in order; `object` is undefined when it is gone. What the copy holds already is delivered at once, within
   * this call, so that nothing is missed. Answers a function that unsubscribes. A handler that throws is logged and called again next time.
   */
  onChange(handler: ChangeHandler<T>): () => void;
  start(): void;
  /** Resolves when the first list is in; rejects when the informer was stopped first. */
  whenSynced(): Promise<void>;
  /** Resolves when the copy has seen `resourceVersion` (to read one's own write); rejects after `timeoutMs`. */
  whenReached(resourceVersion: string, timeoutMs: number): Promise<void>;
  /** When the copy was last known to be true: a list, an event or a bookmark arrived. Milliseconds since the epoch. */
  readonly lastContactMs: number;
  stop(): Promise<void>;
}

export type ChangeHandler<T> = (key: string, object: T | undefined, previous: T | undefined) => void;

/** Answers the values under which an object is found; pure. */
export type IndexFunction<T> = (object: T) => readonly string[];

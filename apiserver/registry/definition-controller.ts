/**
 * Brings the status of CustomResourceDefinitions to what it should be: names accepted, established; and empties the ones that are being
 * deleted. Every API server does so; they meet in compare-and-set. Works on names, one at a time, and looks at the world anew each time.
 */
import type { ObjectKey } from '../../api/object.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Store } from '../store/store.ts';
import { cleanupFinalizer, isEstablished, withCondition, type CustomResourceDefinition, type DefinitionStatus } from './definition.ts';
import { establishedStatus } from './definition-names.ts';
import { equalJson } from '../admission/json-value.ts';
import { timestamp } from './object-metadata.ts';
import type { DeleteOptions, ResourceOperations, WriteOptions } from './resource.ts';
import { resourcePrefix } from './storage-keys.ts';
import { StatusError } from './status-error.ts';
import type { WatchCache } from './watch-cache.ts';

const firstRetryMs = 100;
const longestRetryMs = 5_000;
/** How often a definition that waits for its objects' finalizers is looked at again. */
const cleanupRetryMs = 500;

/** How the API server's own writes are signed. */
export function ownWrite(): WriteOptions {
  return {
    user: { name: 'system:apiserver', groups: ['system:masters'] },
    dryRun: false,
    fieldManager: 'potluck-apiserver',
    fieldValidation: 'Ignore',
    warnings: [],
  };
}

export interface DefinitionControllerOptions {
  store: Store;
  logger: Logger;
  nowMs: () => number;
  /** The definitions as objects of the API. */
  definitions: ResourceOperations;
  definitionCache: WatchCache;
  /** Any served version of a definition's objects. */
  operationsOf: (definition: CustomResourceDefinition) => ResourceOperations | undefined;
}

export class DefinitionController {
  readonly #options: DefinitionControllerOptions;
  readonly #pending = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: DefinitionControllerOptions) {
    this.#options = options;
  }

  /** Looks at the definition called `name` soon. */
  enqueue(name: string): void {
    if (this.#closed) return;
    this.#pending.add(name);
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#pending.clear();
    await this.#running;
  }

  async #work(): Promise<void> {
    // What asked for the first pass may still be in the middle of telling others.
    await Promise.resolve();
    for (const name of this.#pending) {
      this.#pending.delete(name);
      try {
        const recheckMs = await this.#reconcile(name);
        this.#failures.delete(name);
        if (recheckMs !== undefined) this.#enqueueAfter(name, recheckMs);
      } catch (error) {
        this.#retry(name, error);
      }
    }
  }

  #retry(name: string, error: unknown): void {
    const failures = this.#failures.get(name) ?? 0;
    this.#failures.set(name, failures + 1);
    // Another server came first, or the cache is behind: the watch brings the news.
    const isConflict = error instanceof StatusError && error.code === 409;
    if (!isConflict)
      this.#options.logger.warn('A custom resource definition could not be brought up to date; trying again', { name, error });
    this.#enqueueAfter(name, Math.min(firstRetryMs * 2 ** failures, longestRetryMs));
  }

  #enqueueAfter(name: string, delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(name));
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      this.enqueue(name);
    }, delayMs);
    this.#timers.set(name, timer);
  }

  /** Answers after how many milliseconds to look again, if at all. */
  async #reconcile(name: string): Promise<number | undefined> {
    const definition = this.#definitions().find(({ metadata }) => metadata.name === name);
    if (definition === undefined) return undefined;
    if (definition.metadata.deletionTimestamp !== undefined) return this.#cleanUp(definition);
    const status = establishedStatus(definition, this.#definitions(), timestamp(this.#options.nowMs()));
    if (equalJson(status, definition.status)) return undefined;
    await this.#writeStatus(definition, status);
    // A name that became free may be another definition's.
    for (const other of this.#definitions())
      if (!isEstablished(other) && other.metadata.name !== undefined) this.#pending.add(other.metadata.name);
    return undefined;
  }

  #definitions(): CustomResourceDefinition[] {
    const { definitionCache } = this.#options;
    return definitionCache.list(definitionCache.prefix).map(({ object }) => object as CustomResourceDefinition);
  }

  async #writeStatus(definition: CustomResourceDefinition, status: DefinitionStatus): Promise<void> {
    await this.#options.definitions.update(keyOf(definition), { ...definition, status }, ownWrite(), 'status');
  }

  async #cleanUp(definition: CustomResourceDefinition): Promise<number | undefined> {
    const finalizers = definition.metadata.finalizers ?? [];
    if (!finalizers.includes(cleanupFinalizer)) return undefined;
    const now = timestamp(this.#options.nowMs());
    const inProgress = withCondition(definition.status?.conditions ?? [], deletionInProgress, now);
    if (!equalJson(inProgress, definition.status?.conditions)) {
      await this.#writeStatus(definition, { ...definition.status, conditions: inProgress });
      return undefined;
    }
    if (!(await this.#deleteObjects(definition))) return cleanupRetryMs;
    const rest = finalizers.filter((finalizer) => finalizer !== cleanupFinalizer);
    const metadata = { ...definition.metadata, finalizers: rest };
    await this.#options.definitions.update(keyOf(definition), { ...definition, metadata }, ownWrite());
    return undefined;
  }

  /** Whether none is left. */
  async #deleteObjects(definition: CustomResourceDefinition): Promise<boolean> {
    const { store, operationsOf } = this.#options;
    const options: DeleteOptions = { ...ownWrite(), propagationPolicy: 'Background' };
    const { group, names } = definition.spec;
    await operationsOf(definition)?.deleteCollection({}, options);
    const { entries } = await store.list(resourcePrefix(group, names.plural), { limit: 1 });
    return entries.length === 0;
  }
}

const deletionInProgress = {
  type: 'Terminating',
  status: 'True',
  reason: 'InstanceDeletionInProgress',
  message: 'CustomResource deletion is in progress',
} as const;

function keyOf(definition: CustomResourceDefinition): ObjectKey {
  return { name: definition.metadata.name ?? '' };
}

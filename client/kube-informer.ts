/** The informer: list, then watch from there, for ever. Whatever goes wrong ends in another attempt, never in silence. */
import { createBackoff } from '../api/backoff.ts';
import type { Backoff, BackoffBounds } from '../api/backoff.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import { ApiError } from './client.ts';
import type { Client, WatchEvent } from './client.ts';
import { IndexedStore } from './indexed-store.ts';
import type { Change } from './indexed-store.ts';
import type { ChangeHandler, IndexFunction, Informer } from './informer.ts';
import { compareResourceVersions } from './resource-version.ts';

export interface InformerOptions<T extends KubernetesObject> {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Readonly<Record<string, IndexFunction<T>>>;
  logger: InformerLogger;
  /** From [0, 1). */
  random?: () => number;
  nowMs?: () => number;
  /** Between attempts; 0.2 s growing to 10 s. */
  backoff?: BackoffBounds;
  /** A watch without an event or a bookmark for so long is taken for dead and opened anew; 90 s. The server sends a bookmark each minute. */
  idleTimeoutMs?: number;
  /** The server is asked to end each watch after a random time in this range, in seconds; 5 to 10 minutes. */
  watchSeconds?: readonly [number, number];
}

/** What an informer needs of a logger. */
export interface InformerLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Watches that fail so often in a row, with no event in between, are followed by a list: what breaks them may lie in their past. */
const failedWatchesBeforeList = 3;
/** A watch that the server ends sooner is an error: else a server that ends them at once would be asked without a pause. */
const shortestWatchMs = 1_000;
/** A watch that held so long, even in silence, shows that the server serves. */
const steadyWatchMs = 10_000;
const listTimeoutMs = 60_000;
/** A failure that goes on is logged again after this long. */
const logIntervalMs = 60_000;

export function createInformer<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  options: InformerOptions<T>,
): Informer<T> {
  return new KubeInformer(client, type, options);
}

interface Waiter {
  /** Undefined waits for the first list. */
  resourceVersion: string | undefined;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** The copy cannot be continued from its version: it must be listed. */
class ListNeededError extends Error {
  override readonly name = 'ListNeededError';
}

class KubeInformer<T extends KubernetesObject> implements Informer<T> {
  lastContactMs = 0;
  readonly #client: Client;
  readonly #type: ResourceType<T>;
  readonly #options: InformerOptions<T>;
  readonly #store: IndexedStore<T>;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #waiters = new Set<Waiter>();
  readonly #random: () => number;
  readonly #nowMs: () => number;
  #loop: Promise<void> | undefined;
  #isSynced = false;
  /** The copy is true as of this version. */
  #resourceVersion = '';
  /** The next list: any cache will do, one that is at least as new as our copy, or the newest. */
  #listFrom: 'any' | 'copy' | 'newest' = 'any';
  #failedWatches = 0;
  #failingSince: { loggedMs: number } | undefined;

  constructor(client: Client, type: ResourceType<T>, options: InformerOptions<T>) {
    this.#client = client;
    this.#type = type;
    this.#options = options;
    this.#store = new IndexedStore(options.indexes ?? {});
    this.#random = options.random ?? Math.random;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#backoff = createBackoff(options.backoff ?? { baseMs: 200, capMs: 10_000 }, this.#random);
  }

  get(key: string): T | undefined {
    return this.#store.get(key);
  }

  list(): readonly T[] {
    return this.#store.list();
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#store.byIndex(index, value);
  }

  onChange(handler: ChangeHandler<T>): () => void {
    const own: ChangeHandler<T> = (...change) => handler(...change);
    this.#handlers.add(own);
    for (const change of this.#store.snapshot()) this.#tell(own, change);
    return () => {
      this.#handlers.delete(own);
    };
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async whenSynced(): Promise<void> {
    await this.#wait(undefined, undefined);
  }

  async whenReached(resourceVersion: string, timeoutMs: number): Promise<void> {
    await this.#wait(resourceVersion, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`the informer of ${this.#type.plural} was stopped`));
    for (const waiter of this.#waiters) waiter.reject(this.#stopping.signal.reason as Error);
    this.#handlers.clear();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let mustList = true;
    while (!signal.aborted) {
      try {
        if (mustList) await this.#listAll();
        mustList = false;
        await this.#watch();
      } catch (error) {
        if (this.#isStopped()) return;
        mustList = this.#mustListAfter(error, mustList);
        this.#report(error);
        await pause(this.#backoff.nextMs(), signal);
      }
    }
  }

  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Decides how to go on after a failure. */
  #mustListAfter(error: unknown, listFailed: boolean): boolean {
    // Our version is older than what the server remembers, or newer than what it has (its storage was set back).
    const isLost = error instanceof ListNeededError || (error instanceof ApiError && [400, 410, 504].includes(error.code));
    if (isLost) this.#listFrom = 'newest';
    if (listFailed || isLost) return true;
    this.#failedWatches += 1;
    return this.#failedWatches >= failedWatchesBeforeList;
  }

  async #listAll(): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    const resourceVersion = { any: '0', copy: this.#resourceVersion, newest: undefined }[this.#listFrom];
    const given = Object.entries({ namespace, labelSelector, fieldSelector, resourceVersion }).filter(([, value]) => value !== undefined);
    const { items, resourceVersion: listed } = await this.#client.list(this.#type, {
      ...(Object.fromEntries(given) as Record<string, string>),
      signal: this.#stopping.signal,
      timeoutMs: listTimeoutMs,
    });
    if (this.#isStopped()) return;
    this.#listFrom = 'copy';
    this.#failedWatches = 0;
    const changes = this.#store.replaceAll(items);
    this.#isSynced = true;
    this.#advance(listed);
    this.#deliver(changes);
  }

  async #watch(): Promise<void> {
    const { namespace, labelSelector, fieldSelector, idleTimeoutMs = 90_000, watchSeconds: [least, most] = [300, 600] } = this.#options;
    const given = Object.entries({ namespace, labelSelector, fieldSelector }).filter(([, value]) => value !== undefined);
    const idle = new AbortController();
    const onIdle = (): void => idle.abort(new Error(`nothing was heard for ${idleTimeoutMs / 1000} s`));
    const timer = setTimeout(onIdle, idleTimeoutMs);
    const startedMs = performance.now();
    let heard = 0;
    try {
      await this.#client.watch(this.#type, {
        ...(Object.fromEntries(given) as Record<string, string>),
        resourceVersion: this.#resourceVersion,
        timeoutSeconds: Math.round(least + this.#random() * (most - least)),
        signal: AbortSignal.any([idle.signal, this.#stopping.signal]),
        onEvent: (event) => {
          timer.refresh();
          heard += 1;
          this.#onEvent(event);
        },
      });
    } finally {
      clearTimeout(timer);
      if (performance.now() - startedMs >= steadyWatchMs) this.#onProgress();
    }
    if (heard === 0 && performance.now() - startedMs < shortestWatchMs) throw new Error('the server ended the watch at once');
  }

  #onEvent(event: WatchEvent<T>): void {
    if (event.type === 'ERROR') {
      const { code, reason, message } = event.status;
      throw new ListNeededError(`the watch ended with ${code ?? reason ?? 'an error'}: ${message ?? ''}`);
    }
    this.#onProgress();
    if (event.type === 'BOOKMARK') {
      this.#advance(event.resourceVersion);
      return;
    }
    const changes = event.type === 'DELETED' ? this.#store.remove(event.object) : this.#store.put(event.object);
    this.#advance(event.object.metadata.resourceVersion ?? '');
    this.#deliver(changes);
  }

  #onProgress(): void {
    this.#backoff.reset();
    this.#failedWatches = 0;
    if (this.#failingSince !== undefined) this.#options.logger.debug('informer is up to date again', { resource: this.#type.plural });
    this.#failingSince = undefined;
  }

  #advance(resourceVersion: string): void {
    this.lastContactMs = this.#nowMs();
    if (resourceVersion !== '') this.#resourceVersion = resourceVersion;
    for (const waiter of this.#waiters) {
      if (this.#hasReached(waiter.resourceVersion)) waiter.resolve();
    }
  }

  #hasReached(resourceVersion: string | undefined): boolean {
    if (!this.#isSynced || resourceVersion === undefined) return this.#isSynced;
    return (compareResourceVersions(this.#resourceVersion, resourceVersion) ?? -1) >= 0;
  }

  async #wait(resourceVersion: string | undefined, timeoutMs: number | undefined): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    if (this.#hasReached(resourceVersion)) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { resourceVersion, resolve: () => resolve(undefined), reject };
    this.#waiters.add(waiter);
    const onLate = (): void =>
      reject(new Error(`${this.#type.plural} did not reach version ${resourceVersion ?? ''} in ${timeoutMs ?? 0} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(onLate, timeoutMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  #deliver(changes: readonly Change<T>[]): void {
    for (const change of changes) {
      for (const handler of [...this.#handlers]) this.#tell(handler, change);
    }
  }

  #tell(handler: ChangeHandler<T>, { key, object, previous }: Change<T>): void {
    try {
      handler(key, object, previous);
    } catch (error) {
      this.#options.logger.error('a change handler failed', { resource: this.#type.plural, key, error });
    }
  }

  /** The first failure in a row is a warning, and one each minute while it goes on. */
  #report(error: unknown): void {
    const nowMs = performance.now();
    const isDue = this.#failingSince === undefined || nowMs - this.#failingSince.loggedMs >= logIntervalMs;
    const fields = { resource: this.#type.plural, error: error instanceof Error ? error.message : String(error) };
    if (isDue) {
      this.#failingSince = { loggedMs: nowMs };
      this.#options.logger.warn('informer lost contact and tries again', fields);
    } else {
      this.#options.logger.debug('informer tries again', fields);
    }
  }
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const onEnd = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onEnd);
      resolve();
    };
    const timer = setTimeout(onEnd, delayMs);
    signal.addEventListener('abort', onEnd);
  });
}

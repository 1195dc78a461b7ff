/**
 * The one watch on the store. It hands every change to the cache of its resource and knows the revision up to which all of them are
 * complete, which is what bookmarks and consistent lists go by. See docs/decisions/0003-one-watch.md.
 */
import type { Logger } from '../../runtime/logger.ts';
import { CompactedError, type Change, type Entry, type Store, type StoreWatch } from '../store/store.ts';
import { StatusError } from './status-error.ts';
import { registryRoot, resourcePrefixOf } from './storage-keys.ts';
import { WatchCache, type WatchCacheLimits } from './watch-cache.ts';

/** Entries read with one request while listing everything. */
const pageSize = 2000;
const firstRetryMs = 50;
const longestRetryMs = 5_000;

export interface CacheFeedOptions {
  store: Store;
  logger: Logger;
  limits: WatchCacheLimits;
}

interface Waiter {
  revision: number;
  resolve(reached: boolean): void;
}

export class CacheFeed {
  readonly #options: CacheFeedOptions;
  readonly #caches = new Map<string, WatchCache>();
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #watch: StoreWatch | undefined;
  #startRevision = 0;
  #appliedRevision = 0;
  #relisting: Promise<void> | undefined;

  constructor(options: CacheFeedOptions) {
    this.#options = options;
  }

  /** Every change up to this revision of the store is in the caches. 0 before the first listing. */
  get appliedRevision(): number {
    return this.#appliedRevision;
  }

  /** The cache of the resource whose keys begin with `prefix`; made if nothing was stored there yet. */
  cache(prefix: string): WatchCache {
    const known = this.#caches.get(prefix);
    if (known !== undefined) return known;
    const cache = new WatchCache(prefix, this.#options.limits, (key, error) => {
      this.#options.logger.error('An entry of the store is no object; it is left out', { key, error });
    });
    cache.startAt(this.#startRevision);
    this.#caches.set(prefix, cache);
    return cache;
  }

  /** Lists everything, then follows it. Keeps trying while the store cannot be reached; rejects only when the feed is closed. */
  async start(): Promise<void> {
    await this.#relist();
  }

  /** Resolves with true once all changes up to `revision` are applied, with false after `timeoutMs`. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.#appliedRevision >= revision && this.#appliedRevision > 0) return Promise.resolve(true);
    if (this.#stopping.signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (reached: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(reached);
      };
      const waiter: Waiter = { revision, resolve: settle };
      const timer = setTimeout(() => {
        settle(false);
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Calls `listener` after each step of the applied revision. The answer takes it off again. */
  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    const closing = new StatusError({ message: 'the API server is stopping', reason: 'ServiceUnavailable', code: 503 });
    for (const cache of this.#caches.values()) cache.endWatches(closing);
    for (const waiter of [...this.#waiters]) waiter.resolve(false);
    await this.#watch?.close();
    await this.#relisting?.catch(() => undefined);
  }

  async #relist(): Promise<void> {
    let retryMs = firstRetryMs;
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      try {
        const { entries, revision } = await listEverything(this.#options.store);
        this.#stopping.signal.throwIfAborted();
        this.#replaceAll(entries, revision);
        this.#follow(revision);
        return;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        this.#options.logger.warn('The store could not be listed; trying again', { error, retryMs });
        await abortableDelay(retryMs, this.#stopping.signal);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      }
    }
  }

  #replaceAll(entries: readonly Entry[], revision: number): void {
    const isFirst = this.#appliedRevision === 0;
    if (isFirst) this.#startRevision = revision;
    const byPrefix = new Map<string, Entry[]>([...this.#caches.keys()].map((prefix) => [prefix, []]));
    for (const entry of entries) {
      const prefix = resourcePrefixOf(entry.key);
      if (prefix === undefined) continue;
      const group = byPrefix.get(prefix);
      if (group === undefined) byPrefix.set(prefix, [entry]);
      else group.push(entry);
    }
    for (const [prefix, group] of byPrefix) this.cache(prefix).replaceAll(group, revision, isFirst);
    this.#advance(revision);
  }

  #follow(revision: number): void {
    this.#watch = this.#options.store.watch({
      prefix: registryRoot,
      afterRevision: revision,
      onChanges: (changes, changesRevision) => {
        this.#applyAll(changes, changesRevision);
      },
      onEnd: (error) => {
        this.#watch = undefined;
        if (this.#stopping.signal.aborted) return;
        const level = error instanceof CompactedError ? 'info' : 'warn';
        this.#options.logger[level]('The watch on the store ended; listing anew', { error });
        this.#relisting = this.#relist().catch((failure: unknown) => {
          if (!this.#stopping.signal.aborted) this.#options.logger.error('Listing anew failed', { error: failure });
        });
      },
    });
  }

  #applyAll(changes: readonly Change[], revision: number): void {
    for (const change of changes) {
      const prefix = resourcePrefixOf(change.type === 'put' ? change.entry.key : change.key);
      if (prefix !== undefined) this.cache(prefix).apply(change);
    }
    this.#advance(revision);
  }

  #advance(revision: number): void {
    this.#appliedRevision = Math.max(this.#appliedRevision, revision);
    for (const waiter of [...this.#waiters]) if (waiter.revision <= this.#appliedRevision) waiter.resolve(true);
    for (const listener of this.#listeners) listener();
  }
}

/** All entries as of one revision. */
async function listEverything(store: Store): Promise<{ entries: Entry[]; revision: number }> {
  const first = await store.list(registryRoot, { limit: pageSize });
  const entries = [...first.entries];
  let page = first;
  while (page.more) {
    const last = page.entries.at(-1);
    if (last === undefined) break;
    page = await store.list(registryRoot, { limit: pageSize, startKey: `${last.key}\0`, revision: first.revision });
    entries.push(...page.entries);
  }
  return { entries, revision: first.revision };
}

/** Resolves after `delayMs`, or at once when `signal` aborts. */
async function abortableDelay(delayMs: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, delayMs);
    signal.addEventListener('abort', settle, { once: true });
  });
}

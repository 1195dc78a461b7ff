/** Keeps the index of relations as the store has it, from the watch caches. */
import type { KubernetesObject } from '../../../api/object.ts';
import type { Logger } from '../../../runtime/logger.ts';
import type { StoredEntry } from '../../registry/stored-entry.ts';
import type { CacheWatcher, WatchCache } from '../../registry/watch-cache.ts';
import type { RelationIndex } from './relation-index.ts';

export interface RelationFeedOptions {
  index: RelationIndex;
  cacheOf: (prefix: string) => WatchCache;
  logger: Logger;
}

/** Fills the index from caches that are filled themselves, and from then on with every change, until it is closed. */
export class RelationFeed {
  readonly #options: RelationFeedOptions;
  readonly #followed = new Map<WatchCache, CacheWatcher>();

  constructor(options: RelationFeedOptions) {
    this.#options = options;
    for (const prefix of options.index.prefixes) this.#follow(options.cacheOf(prefix));
  }

  close(): void {
    const followed = [...this.#followed];
    this.#followed.clear();
    for (const [cache, watcher] of followed) cache.unwatch(watcher);
  }

  #follow(cache: WatchCache): void {
    for (const entry of cache.list(cache.prefix)) this.#put(cache.prefix, entry.key, entry);
    const watcher: CacheWatcher = {
      onChange: ({ key, current }) => {
        this.#put(cache.prefix, key, current);
      },
      // A definition that is served no longer ends the watches of its clients; the objects, and their subjects, are still there.
      onEnd: () => {
        if (this.#followed.has(cache)) cache.follow(watcher);
      },
    };
    this.#followed.set(cache, watcher);
    cache.follow(watcher);
  }

  #put(prefix: string, key: string, entry: StoredEntry | undefined): void {
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf('/');
    this.#options.index.put(prefix, slash === -1 ? undefined : rest.slice(0, slash), rest.slice(slash + 1), this.#read(key, entry));
  }

  /** An object that cannot be read is none: whoever stands for it is not believed. */
  #read(key: string, entry: StoredEntry | undefined): KubernetesObject | undefined {
    try {
      return entry?.object;
    } catch (error) {
      this.#options.logger.error('An object of the store cannot be read; nobody stands for it', { key, error });
      return undefined;
    }
  }
}

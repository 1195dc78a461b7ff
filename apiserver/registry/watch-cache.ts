/**
 * What the API server knows of one resource without asking the store: the current objects, and the recent changes from which watches
 * resume. It is fed by `cache-feed.ts`, in the order of revisions, and answers synchronously.
 */
import type { Change, Entry } from '../store/store.ts';
import { StatusError } from './status-error.ts';
import { StoredEntry } from './stored-entry.ts';

/** One change as watchers see it: `current` is absent for a deletion, `previous` for a creation. */
export interface CacheEvent {
  revision: number;
  key: string;
  previous: StoredEntry | undefined;
  current: StoredEntry | undefined;
  /** The previous state under this event's revision, for who sees a deletion; made when first needed, and shared. */
  final: StoredEntry | undefined;
}

export interface CacheWatcher {
  /** Called in order of revisions. What it throws ends this watcher. */
  onChange(event: CacheEvent): void;
  /** The cache cannot go on with this watcher, which it has dropped. */
  onEnd(error: Error): void;
}

export interface WatchCacheLimits {
  /** Most events kept for watches that resume. */
  maxEvents: number;
  /** Most bytes that these events may hold. */
  maxBytes: number;
}

/** Most writes that are remembered until the watch brings them; more are found out by compare-and-set. */
const maxWritten = 10_000;

export class WatchCache {
  readonly prefix: string;
  readonly #limits: WatchCacheLimits;
  readonly #onDamaged: (key: string, error: unknown) => void;
  readonly #objects = new Map<string, StoredEntry>();
  /** By key, what was written here after the last change that the watch brought. */
  readonly #written = new Map<string, { revision: number; entry: StoredEntry | undefined }>();
  /** Each watcher with the revision up to which it wants nothing. */
  readonly #watchers = new Map<CacheWatcher, number>();
  /** Keys in byte order; made when first asked for, then kept. */
  #sortedKeys: string[] | undefined;
  /** Ring as a queue: events before `#firstEvent` are forgotten, and cut off now and then. */
  #events: CacheEvent[] = [];
  #firstEvent = 0;
  #eventBytes = 0;
  /** Every change up to this revision is in `#objects`. */
  #lastRevision = 0;
  /** Every change after this revision is in `#events`. */
  #completeAfter = 0;

  constructor(prefix: string, limits: WatchCacheLimits, onDamaged: (key: string, error: unknown) => void) {
    this.prefix = prefix;
    this.#limits = limits;
    this.#onDamaged = onDamaged;
  }

  get size(): number {
    return this.#objects.size;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  get(key: string): StoredEntry | undefined {
    return this.#objects.get(key);
  }

  /** What is known of a key: also what this server wrote and the watch has not brought yet. */
  latest(key: string): StoredEntry | undefined {
    const written = this.#written.get(key);
    return written === undefined ? this.#objects.get(key) : written.entry;
  }

  /** Takes note of a write that succeeded, for {@link latest}; `entry` is absent for a removal. Readers and watchers get it from the watch. */
  noteWrite(key: string, revision: number, entry: StoredEntry | undefined): void {
    if (revision <= this.#lastRevision || (this.#written.get(key)?.revision ?? 0) > revision) return;
    if (this.#written.has(key) || this.#written.size < maxWritten) this.#written.set(key, { revision, entry });
  }

  /** The objects whose keys begin with `prefix`, in byte order of their keys. */
  list(prefix: string): StoredEntry[] {
    const keys = (this.#sortedKeys ??= [...this.#objects.keys()].sort(compareBytes));
    const entries: StoredEntry[] = [];
    for (let index = firstNotBefore(keys, prefix); index < keys.length; index += 1) {
      const key = keys[index] ?? '';
      if (!key.startsWith(prefix)) break;
      const entry = this.#objects.get(key);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /**
   * Hands `watcher` what happened after `revision`, then everything that follows. A revision that is still to come skips what lies before it.
   * Throws 410 Expired when the events since `revision` are no longer kept.
   */
  watch(revision: number, watcher: CacheWatcher): void {
    if (revision < this.#completeAfter) throw expired(revision, this.#completeAfter);
    const events = this.#events;
    // A watcher that changes the cache from within would upset the order; none does.
    for (let index = this.#firstAfter(revision); index < events.length; index += 1) {
      const event = events[index];
      if (event !== undefined) watcher.onChange(event);
    }
    this.#watchers.set(watcher, revision);
  }

  /** Hands `watcher` every later change. */
  follow(watcher: CacheWatcher): void {
    this.#watchers.set(watcher, 0);
  }

  unwatch(watcher: CacheWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** Ends every watch; the objects stay. */
  endWatches(error: Error): void {
    const watchers = [...this.#watchers.keys()];
    this.#watchers.clear();
    for (const watcher of watchers) watcher.onEnd(error);
  }

  /** Applies one change of the store. */
  apply(change: Change): void {
    if (change.type === 'delete') this.#remove(change.key, change.modRevision);
    else this.#put(change.entry);
  }

  /**
   * Takes a whole listing as of `revision`. Against an empty cache it is the start, without events; otherwise differences become events, so that
   * watchers go on over a gap in the history: they see each object's last state, not those between.
   */
  replaceAll(entries: readonly Entry[], revision: number, isFirst: boolean): void {
    if (isFirst) {
      for (const entry of entries) {
        const decoded = this.#decode(entry);
        if (decoded !== undefined) this.#objects.set(entry.key, decoded);
      }
      this.#sortedKeys = undefined;
      this.#completeAfter = revision;
      this.#lastRevision = revision;
      return;
    }
    const listed = new Set(entries.map((entry) => entry.key));
    const changed = entries.filter((entry) => this.#objects.get(entry.key)?.revision !== entry.modRevision);
    for (const entry of changed.sort((a, b) => a.modRevision - b.modRevision)) {
      const known = this.#objects.get(entry.key);
      if (known !== undefined && known.createRevision !== entry.createRevision) this.#remove(entry.key, entry.modRevision);
      this.#put(entry);
    }
    for (const key of [...this.#objects.keys()]) if (!listed.has(key)) this.#remove(key, revision);
    for (const [key, written] of this.#written) if (written.revision <= revision) this.#written.delete(key);
    this.#lastRevision = Math.max(this.#lastRevision, revision);
  }

  /** Nothing before `revision` is known: a cache that was made later than the feed began. */
  startAt(revision: number): void {
    this.#completeAfter = revision;
  }

  #put(entry: Entry): void {
    const current = this.#settleWritten(entry.key, entry.modRevision) ?? this.#decode(entry);
    if (current === undefined) return;
    const previous = this.#objects.get(entry.key);
    this.#objects.set(entry.key, current);
    const keys = this.#sortedKeys;
    if (previous === undefined && keys !== undefined) keys.splice(firstNotBefore(keys, entry.key), 0, entry.key);
    this.#record({ revision: entry.modRevision, key: entry.key, previous, current, final: undefined });
  }

  #remove(key: string, revision: number): void {
    this.#settleWritten(key, revision);
    const previous = this.#objects.get(key);
    if (previous === undefined) return;
    this.#objects.delete(key);
    this.#sortedKeys?.splice(firstNotBefore(this.#sortedKeys, key), 1);
    this.#record({ revision, key, previous, current: undefined, final: undefined });
  }

  /** Forgets a write that the watch has reached. Answers the entry of the very same revision: it is decoded already, and readers share it. */
  #settleWritten(key: string, revision: number): StoredEntry | undefined {
    const written = this.#written.get(key);
    if (written === undefined || written.revision > revision) return undefined;
    this.#written.delete(key);
    return written.revision === revision ? written.entry : undefined;
  }

  #decode(entry: Entry): StoredEntry | undefined {
    try {
      return StoredEntry.fromStore(entry);
    } catch (error) {
      this.#onDamaged(entry.key, error);
      return undefined;
    }
  }

  #record(event: CacheEvent): void {
    this.#lastRevision = event.revision;
    this.#events.push(event);
    this.#eventBytes += bytesOf(event);
    while (this.#events.length - this.#firstEvent > this.#limits.maxEvents || this.#eventBytes > this.#limits.maxBytes) {
      const oldest = this.#events[this.#firstEvent];
      if (oldest === undefined) break;
      this.#eventBytes -= bytesOf(oldest);
      this.#completeAfter = Math.max(this.#completeAfter, oldest.revision);
      this.#firstEvent += 1;
    }
    // Cut off when half of the array is forgotten: each event is copied once on average.
    if (this.#firstEvent * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#firstEvent);
      this.#firstEvent = 0;
    }
    for (const [watcher, after] of this.#watchers) if (event.revision > after) this.#notify(watcher, event);
  }

  /** A watcher that fails, be it at an object that cannot be read, is the only one to end. */
  #notify(watcher: CacheWatcher, event: CacheEvent): void {
    try {
      watcher.onChange(event);
    } catch (error) {
      this.#watchers.delete(watcher);
      watcher.onEnd(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #firstAfter(revision: number): number {
    let low = this.#firstEvent;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? Infinity) > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** 410: the client must list anew. `oldest` is the first revision from which a watch could start. */
export function expired(revision: number, oldest: number): StatusError {
  return new StatusError({ message: `too old resource version: ${revision} (${oldest})`, reason: 'Expired', code: 410 });
}

function bytesOf(event: CacheEvent): number {
  return (event.current ?? event.previous)?.bytes.length ?? 0;
}

function firstNotBefore(keys: readonly string[], prefix: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(keys[middle] ?? '', prefix) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keys are ASCII, where the order of UTF-16 units is that of bytes. */
function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

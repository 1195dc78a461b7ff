/** What a watch means: the state at its beginning if asked for, then every change, as seen through the watch's selectors. */
import { reachStore, type ResourceContext } from './resource-context.ts';
import { checkWatchOptions, parseRevision } from './resource-version.ts';
import type { StoredObject, WatchEvent, WatchHandle, WatchOptions, WatchSink } from './resource.ts';
import { parseSelection, type ParsedSelection } from './selection.ts';
import type { StoredEntry } from './stored-entry.ts';
import type { CacheEvent, CacheWatcher } from './watch-cache.ts';

/** How long a watch waits for the caches to be filled at the server's start. */
const startWaitMs = 10_000;
/** How long a watch waits for the cache to come as far as the store, before it begins with what is there. */
const latestWaitMs = 3_000;

/** The watches that take bookmarks; the catalogue's timer serves them. */
export type BookmarkReceivers = Set<(revision: number) => void>;

/**
 * Resolves when the watch is established; the events of its beginning come before that. A revision whose changes are no longer kept is an
 * `onError` with 410, as Kubernetes gives it.
 */
export async function watchObjects(
  context: ResourceContext,
  options: WatchOptions,
  sink: WatchSink,
  bookmarks: BookmarkReceivers,
): Promise<WatchHandle> {
  checkWatchOptions(options);
  const selection = parseSelection(context.definition, context.stored.prefix, options);
  const revision = parseRevision(options.resourceVersion ?? '');
  await awaitStart(context, options, revision);
  const watch = new ObjectWatch(context, selection, sink, options.withPrevious === true);
  watch.begin(revision, options);
  if (options.allowWatchBookmarks) watch.takeBookmarks(bookmarks);
  return watch;
}

/** A watch without a revision begins with the latest state: its client may have written just before. */
async function awaitStart({ feed, store }: ResourceContext, options: WatchOptions, revision: number): Promise<void> {
  await feed.waitFor(1, startWaitMs);
  const { resourceVersion = '' } = options;
  if (resourceVersion === '') await feed.waitFor(await reachStore(() => store.currentRevision()), latestWaitMs);
  else if (options.sendInitialEvents === true) await feed.waitFor(revision, latestWaitMs);
}

class ObjectWatch implements WatchHandle, CacheWatcher {
  readonly #context: ResourceContext;
  readonly #selection: ParsedSelection;
  readonly #sink: WatchSink;
  readonly #withPrevious: boolean;
  #closed = false;
  #stopBookmarks: () => void = () => undefined;

  constructor(context: ResourceContext, selection: ParsedSelection, sink: WatchSink, withPrevious: boolean) {
    this.#context = context;
    this.#selection = selection;
    this.#sink = sink;
    this.#withPrevious = withPrevious;
  }

  begin(revision: number, options: WatchOptions): void {
    if (this.#closed) return;
    const { feed, stored } = this.#context;
    const initial = options.sendInitialEvents ?? revision === 0;
    try {
      if (initial) {
        this.#sendPresent();
        stored.cache.follow(this);
        if (options.sendInitialEvents === true && options.allowWatchBookmarks) {
          this.#send({ type: 'BOOKMARK', revision: feed.appliedRevision, initialEventsEnd: true });
        }
      } else if (revision === 0) {
        stored.cache.follow(this);
      } else {
        stored.cache.watch(revision, this);
      }
    } catch (error) {
      this.onEnd(error instanceof Error ? error : new Error(String(error)));
    }
    // A sink that was closed while it got its first events is not to be kept.
    if (this.#isClosed()) stored.cache.unwatch(this);
  }

  takeBookmarks(bookmarks: BookmarkReceivers): void {
    if (this.#closed) return;
    const receive = (revision: number): void => {
      this.#send({ type: 'BOOKMARK', revision, initialEventsEnd: false });
    };
    bookmarks.add(receive);
    this.#stopBookmarks = () => void bookmarks.delete(receive);
  }

  onChange(event: CacheEvent): void {
    if (this.#closed || !event.key.startsWith(this.#selection.keyPrefix)) return;
    const { matches } = this.#selection;
    const isIn = event.current !== undefined && this.#matches(event.current);
    const wasIn = event.previous !== undefined && (matches === undefined || this.#matches(event.previous));
    if (isIn && event.current !== undefined) {
      const previous = this.#withPrevious && wasIn && event.previous !== undefined ? { previous: this.#show(event.previous) } : {};
      this.#send({ type: wasIn ? 'MODIFIED' : 'ADDED', stored: this.#show(event.current), ...previous });
    } else if (wasIn) {
      this.#send({ type: 'DELETED', stored: this.#lastSeen(event) });
    }
  }

  onEnd(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.#sink.onError(error);
  }

  close(): void {
    this.#closed = true;
    this.#stopBookmarks();
    this.#context.stored.cache.unwatch(this);
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #sendPresent(): void {
    for (const entry of this.#context.stored.cache.list(this.#selection.keyPrefix)) {
      if (this.#isClosed()) return;
      if (this.#matches(entry)) this.#send({ type: 'ADDED', stored: this.#show(entry) });
    }
  }

  /** What a deletion shows: the state before it, at its own revision; so too for an object that left the selection. */
  #lastSeen(event: CacheEvent): StoredObject {
    event.final ??= event.previous?.atRevision(event.revision);
    if (event.final === undefined) throw new TypeError('a deletion without a previous state');
    return this.#show(event.final);
  }

  #matches(entry: StoredEntry): boolean {
    const { matches } = this.#selection;
    return matches === undefined || matches(this.#show(entry).object);
  }

  #show(entry: StoredEntry): StoredObject {
    return this.#context.view.show(entry);
  }

  #send(event: WatchEvent): void {
    if (!this.#closed) this.#sink.onEvent(event);
  }
}

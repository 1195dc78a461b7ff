/** What a list means: consistent at one revision, from the cache where it can, in pages from the store where it must. */
import { CompactedError, FutureRevisionError, type Entry } from '../store/store.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { entryOf, reachStore, type ResourceContext } from './resource-context.ts';
import { tooLarge, wantedState, type WantedState } from './resource-version.ts';
import type { ListOptions, ObjectList, StoredObject } from './resource.ts';
import { parseSelection, type ParsedSelection } from './selection.ts';
import { StatusError } from './status-error.ts';

/** How long a list waits for the cache to come as far as the store, before it asks the store instead. */
const cacheWaitMs = 1_000;
/** How long a list waits for a revision that is still to come, as Kubernetes does. */
const futureWaitMs = 3_000;
/** Entries read at once where a selector leaves some out: grows from the limit up to this. */
const maxChunk = 10_000;

export async function listObjects(context: ResourceContext, options: ListOptions): Promise<ObjectList> {
  const selection = parseSelection(context.definition, context.stored.prefix, options);
  const wanted = wantedState(options);
  const limit = options.limit !== undefined && options.limit > 0 ? options.limit : undefined;
  if (options.continue !== undefined && options.continue !== '') {
    const { revision, start } = decodeContinue(options.continue);
    return listPage(context, selection, { limit, revision: revision === -1 ? undefined : revision, start });
  }
  if (wanted.kind === 'exact') return listExact(context, selection, wanted.revision, limit);
  const reached = await awaitState(context, wanted);
  if (!reached) return listPage(context, selection, { limit, revision: undefined, start: '' });
  const list = listCached(context, selection);
  // A page would be cut from another state than the cache's next one: the store keeps the past.
  if (wanted.kind === 'any' || limit === undefined || list.items.length <= limit) return list;
  return listPage(context, selection, { limit, revision: Number(list.resourceVersion), start: '' });
}

/** Waits until the cache shows the wanted state; false when the store must be asked instead. */
async function awaitState(context: ResourceContext, wanted: WantedState): Promise<boolean> {
  const { feed, store } = context;
  switch (wanted.kind) {
    case 'any':
      return feed.waitFor(1, futureWaitMs);
    case 'latest':
      return feed.waitFor(await reachStore(() => store.currentRevision()), cacheWaitMs);
    case 'notOlderThan':
    case 'exact': {
      if (await feed.waitFor(wanted.revision, futureWaitMs)) return true;
      const current = await reachStore(() => store.currentRevision());
      if (current < wanted.revision) throw tooLarge(wanted.revision, current);
      return false;
    }
  }
}

function listCached(context: ResourceContext, { keyPrefix, matches }: ParsedSelection): ObjectList {
  const { feed, stored, view } = context;
  const shown = stored.cache.list(keyPrefix).map((entry) => view.show(entry));
  const items = matches === undefined ? shown : shown.filter(({ object }) => matches(object));
  return { items, resourceVersion: String(feed.appliedRevision) };
}

async function listExact(
  context: ResourceContext,
  selection: ParsedSelection,
  revision: number,
  limit: number | undefined,
): Promise<ObjectList> {
  const { feed } = context;
  if (feed.appliedRevision === revision) {
    const list = listCached(context, selection);
    if (limit === undefined || list.items.length <= limit) return list;
  }
  return listPage(context, selection, { limit, revision, start: '' });
}

interface PageRequest {
  limit: number | undefined;
  /** Absent: the present state. */
  revision: number | undefined;
  /** First key, relative to the selection's prefix; empty for the first page. */
  start: string;
}

async function listPage(context: ResourceContext, selection: ParsedSelection, request: PageRequest): Promise<ObjectList> {
  const { store } = context;
  const { keyPrefix, matches } = selection;
  const { limit } = request;
  const items: StoredObject[] = [];
  let { revision } = request;
  let startKey = `${keyPrefix}${request.start}`;
  let chunk = limit;
  for (;;) {
    const page = await readPage(request, () =>
      store.list(keyPrefix, {
        ...(chunk === undefined ? {} : { limit: chunk }),
        ...(startKey === keyPrefix ? {} : { startKey }),
        ...(revision === undefined ? {} : { revision }),
      }),
    );
    revision ??= page.revision;
    const taken = takeMatching(context, page.entries, matches, limit === undefined ? Infinity : limit - items.length);
    items.push(...taken.items);
    const list: ObjectList = { items, resourceVersion: String(revision) };
    const rest = page.entries.length - taken.examined + (page.more ? page.remaining : 0);
    if (rest === 0) return list;
    startKey = `${taken.lastKey ?? startKey}\0`;
    if (limit !== undefined && items.length >= limit) {
      const next = encodeContinue({ revision, start: startKey.slice(keyPrefix.length) });
      return { ...list, continue: next, ...(matches === undefined ? { remainingItemCount: rest } : {}) };
    }
    if (chunk !== undefined) chunk = Math.min(chunk * 2, maxChunk);
  }
}

/** Up to `wanted` objects that match, and how far the page was examined for them. */
function takeMatching(
  context: ResourceContext,
  entries: readonly Entry[],
  matches: ParsedSelection['matches'],
  wanted: number,
): { items: StoredObject[]; examined: number; lastKey: string | undefined } {
  const items: StoredObject[] = [];
  let examined = 0;
  let lastKey: string | undefined;
  for (const entry of entries) {
    if (items.length >= wanted) break;
    examined += 1;
    lastKey = entry.key;
    const shown = context.view.show(entryOf(context, entry));
    if (matches === undefined || matches(shown.object)) items.push(shown);
  }
  return { items, examined, lastKey };
}

async function readPage<T>(request: PageRequest, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CompactedError && request.start !== '') throw expiredContinue(request.start);
    if (error instanceof FutureRevisionError) throw tooLarge(request.revision ?? 0, error.currentRevision);
    return reachStore(() => Promise.reject(error instanceof Error ? error : new Error(String(error))));
  }
}

/** 410 with a token that goes on from the present state (k8s.io/apiserver `storage/etcd3/errors.go`). */
function expiredContinue(start: string): StatusError {
  return new StatusError({
    message:
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue ' +
      'parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided ' +
      'token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was ' +
      'returned and now may show up in the list.',
    reason: 'Expired',
    metadata: { continue: encodeContinue({ revision: -1, start }) },
    code: 410,
  });
}

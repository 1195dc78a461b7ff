/** The verbs on one served version of one resource, over the store and the watch cache. */
import type { ObjectKey } from '../../api/object.ts';
import { createObject } from './create-object.ts';
import { deleteCollection, deleteObject } from './delete-object.ts';
import { listObjects } from './list-objects.ts';
import { patchObject } from './patch-object.ts';
import { readLatest, reachStore, storeKeyOf, type ResourceContext } from './resource-context.ts';
import { parseRevision, tooLarge } from './resource-version.ts';
import type {
  DeleteOptions,
  DeleteResult,
  ListOptions,
  ObjectList,
  Patch,
  ResourceDefinition,
  ResourceOperations,
  StoredObject,
  Subresource,
  WatchHandle,
  WatchOptions,
  WatchSink,
  WriteOptions,
  WriteResult,
} from './resource.ts';
import { notFound } from './status-error.ts';
import type { StoredEntry } from './stored-entry.ts';
import { findSubresource } from './subresources.ts';
import { updateObject } from './update-object.ts';
import { watchObjects, type BookmarkReceivers } from './watch-objects.ts';

/** How long a GET waits for a revision that is still to come. */
const futureWaitMs = 3_000;

export class ResourceStore implements ResourceOperations {
  readonly #context: ResourceContext;
  readonly #bookmarks: BookmarkReceivers;

  constructor(context: ResourceContext, bookmarks: BookmarkReceivers) {
    this.#context = context;
    this.#bookmarks = bookmarks;
  }

  get definition(): ResourceDefinition {
    return this.#context.definition;
  }

  async get(key: ObjectKey, options: { resourceVersion?: string } = {}): Promise<StoredObject> {
    const storeKey = storeKeyOf(this.#context, key);
    const { resourceVersion = '' } = options;
    const entry = resourceVersion === '' ? await readLatest(this.#context, storeKey) : await this.#readCached(storeKey, resourceVersion);
    if (entry === undefined) throw notFound(this.definition, key.name);
    return this.#context.view.show(entry);
  }

  list(options: ListOptions): Promise<ObjectList> {
    return listObjects(this.#context, options);
  }

  watch(options: WatchOptions, sink: WatchSink): Promise<WatchHandle> {
    return watchObjects(this.#context, options, sink, this.#bookmarks);
  }

  create(namespace: string | undefined, object: unknown, options: WriteOptions): Promise<StoredObject> {
    return createObject(this.#context, namespace, object, options);
  }

  async update(key: ObjectKey, object: unknown, options: WriteOptions, subresource?: Subresource): Promise<WriteResult> {
    this.#requireSubresource(key, subresource);
    return updateObject(this.#context, key, object, options, subresource);
  }

  async patch(key: ObjectKey, patch: Patch, options: WriteOptions, subresource?: Subresource): Promise<WriteResult> {
    this.#requireSubresource(key, subresource);
    return patchObject(this.#context, key, patch, options, subresource);
  }

  delete(key: ObjectKey, options: DeleteOptions): Promise<DeleteResult> {
    return deleteObject(this.#context, key, options);
  }

  deleteCollection(selection: ListOptions, options: DeleteOptions): Promise<ObjectList> {
    return deleteCollection(this.#context, selection, options);
  }

  /** The state as of `resourceVersion` or later, from the cache. */
  async #readCached(storeKey: string, resourceVersion: string): Promise<StoredEntry | undefined> {
    const { feed, store, stored } = this.#context;
    const revision = parseRevision(resourceVersion);
    if (!(await feed.waitFor(Math.max(revision, 1), futureWaitMs))) {
      const current = await reachStore(() => store.currentRevision());
      if (current < revision) throw tooLarge(revision, current);
      return readLatest(this.#context, storeKey);
    }
    return stored.cache.get(storeKey);
  }

  /** Throws 404 for a subresource that the resource does not have. */
  #requireSubresource(key: ObjectKey, subresource: Subresource | undefined): void {
    if (subresource === undefined) return;
    const { definition } = this.#context;
    if (findSubresource(definition, subresource)?.field === undefined) throw notFound(definition, key.name);
  }
}

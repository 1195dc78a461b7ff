/** Whether objects may be created in a namespace (Kubernetes' NamespaceLifecycle admission). */
import type { Store } from '../store/store.ts';
import { valueAt } from '../admission/json-value.ts';
import { reachStore } from './resource-context.ts';
import { notFound, qualifiedName, StatusError } from './status-error.ts';
import { resourcePrefix } from './storage-keys.ts';
import { StoredEntry } from './stored-entry.ts';
import type { WatchCache } from './watch-cache.ts';

export const namespacesPrefix = resourcePrefix('', 'namespaces');

export class NamespaceGate {
  readonly #cache: WatchCache;
  readonly #store: Store;

  constructor(cache: WatchCache, store: Store) {
    this.#cache = cache;
    this.#store = store;
  }

  /** Throws 404 when the namespace does not exist, 403 when it is being deleted. */
  async admitCreation(type: { group: string; resource: string }, name: string, namespace: string): Promise<void> {
    const entry = await this.find(namespace);
    if (entry === undefined) throw notFound({ group: '', resource: 'namespaces', kind: 'Namespace' }, namespace);
    if (entry.object.metadata.deletionTimestamp !== undefined || valueAt(entry.object, ['status', 'phase']) === 'Terminating') {
      throw terminating(type, name, namespace);
    }
  }

  /** What is known of a namespace; undefined when there is none. */
  async find(namespace: string): Promise<StoredEntry | undefined> {
    const key = `${namespacesPrefix}${namespace}`;
    const known = this.#cache.latest(key);
    if (known !== undefined) return known;
    // It may have been made so recently that the cache has not seen it.
    const { entry } = await reachStore(() => this.#store.get(key));
    return entry === undefined ? undefined : StoredEntry.fromStore(entry);
  }
}

function terminating(type: { group: string; resource: string }, name: string, namespace: string): StatusError {
  return forbidden(type, name, `unable to create new content in namespace ${namespace} because it is being terminated`, [
    { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
  ]);
}

/** 403 for what nobody may do, whoever asks. */
export function forbidden(
  type: { group: string; resource: string },
  name: string,
  why: string,
  causes?: { reason: string; message: string; field: string }[],
): StatusError {
  const { group, resource } = type;
  return new StatusError({
    message: `${qualifiedName(resource, group)} "${name}" is forbidden: ${why}`,
    reason: 'Forbidden',
    details: { name, ...(group === '' ? {} : { group }), kind: resource, ...(causes === undefined ? {} : { causes }) },
    code: 403,
  });
}

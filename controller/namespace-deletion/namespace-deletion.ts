/** Empties terminating namespaces and then lets them go. */
import type { Condition, KubernetesObject } from '../../api/object.ts';
import { namespaces } from '../../api/resource-type.ts';
import type { Namespace } from '../../api/resource-type.ts';
import { ApiError, isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { typeName } from '../discovery.ts';
import type { DiscoveredType, Discovery } from '../discovery.ts';
import { isEmptied, namespaceConditions } from './judge-contents.ts';
import type { Contents } from './judge-contents.ts';

export interface NamespaceDeletionOptions {
  client: Pick<Client, 'list' | 'delete' | 'replaceStatus' | 'request'>;
  namespaces: Informer<Namespace>;
  discover: (signal: AbortSignal) => Promise<Discovery>;
}

/** What holds an emptied namespace back, until it is taken off through `/finalize`. */
const contentFinalizer = 'kubernetes';
/** Deletions under way at once. */
const width = 8;
const firstRecheckMs = 200;
const longestRecheckMs = 5_000;

export class NamespaceDeletion implements Controller {
  readonly name = 'namespace-deletion';
  readonly concurrency = 4;
  readonly #options: NamespaceDeletionOptions;
  /** How often a namespace was looked at and not empty. */
  readonly #rounds = new Map<string, number>();

  constructor(options: NamespaceDeletionOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#options.namespaces.onChange((name, namespace) => {
      if (namespace?.metadata.deletionTimestamp !== undefined) enqueue(name);
      else this.#rounds.delete(name);
    });
  }

  async reconcile(name: string, { signal, nowMs }: ReconcileContext): Promise<Outcome> {
    const namespace = this.#options.namespaces.get(name);
    const isHeld = namespace?.spec?.finalizers?.includes(contentFinalizer) ?? false;
    if (namespace?.metadata.deletionTimestamp === undefined || !isHeld) return settled;
    const contents = await this.#empty(name, signal);
    try {
      const isTold = await this.#tell(namespace, contents, nowMs);
      if (isEmptied(contents)) {
        await this.#finalize(isTold);
        return settled;
      }
    } catch (error) {
      if (isNotFound(error)) return settled;
      if (!isConflict(error)) throw error;
    }
    const round = this.#rounds.get(name) ?? 0;
    this.#rounds.set(name, round + 1);
    return recheckAfter(Math.min(longestRecheckMs, firstRecheckMs * 2 ** Math.min(round, 10)));
  }

  async #empty(namespace: string, signal: AbortSignal): Promise<Contents> {
    const { types, failures } = await this.#options.discover(signal);
    const deletionFailures: string[] = [];
    const remaining = new Map<string, readonly KubernetesObject[]>();
    for (const type of types) {
      if (!type.namespaced || !type.verbs.includes('list') || !type.verbs.includes('delete')) continue;
      try {
        const objects = await this.#deleteAll(type, namespace, signal);
        if (objects.length > 0) remaining.set(typeName(type), objects);
      } catch (error) {
        // A kind that went away between discovery and now holds nothing.
        if (!isNotFound(error)) deletionFailures.push(`${typeName(type)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const discoveryFailures = failures.map(({ groupVersion, message }) => `${groupVersion}: ${message}`);
    return { discoveryFailures, deletionFailures, remaining };
  }

  /** Answers what is left. */
  async #deleteAll(type: DiscoveredType, namespace: string, signal: AbortSignal): Promise<readonly KubernetesObject[]> {
    const { client } = this.#options;
    const { items } = await client.list(type, { namespace, signal });
    const live = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (let start = 0; start < live.length; start += width) {
      await Promise.all(live.slice(start, start + width).map((object) => this.#deleteOne(type, object, signal)));
    }
    return items.length === 0 ? [] : (await client.list(type, { namespace, signal })).items;
  }

  async #deleteOne(type: DiscoveredType, { metadata }: KubernetesObject, signal: AbortSignal): Promise<void> {
    const { namespace = '', name = '', uid } = metadata;
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    try {
      await this.#options.client.delete(type, { namespace, name }, { propagationPolicy: 'Background', ...preconditions, signal });
    } catch (error) {
      // Gone, or another by now: the next list tells.
      if (!(error instanceof ApiError && (error.code === 404 || error.code === 409))) throw error;
    }
  }

  async #tell(namespace: Namespace, contents: Contents, nowMs: number): Promise<Namespace> {
    const before = namespace.status?.conditions as Condition[] | undefined;
    const conditions = namespaceConditions(before, contents, nowMs);
    if (conditions === before) return namespace;
    return this.#options.client.replaceStatus(namespaces, { ...namespace, status: { ...namespace.status, conditions } });
  }

  async #finalize(namespace: Namespace): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== contentFinalizer);
    const path = `/api/v1/namespaces/${namespace.metadata.name ?? ''}/finalize`;
    await this.#options.client.request('PUT', path, { ...namespace, spec: { ...namespace.spec, finalizers } });
  }
}

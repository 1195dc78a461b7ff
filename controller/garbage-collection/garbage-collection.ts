/**
 * Deletes what nobody owns any more, orphans what shall stay, and lets go of what waited for its dependents: by owner references, across
 * all resources. After Kubernetes' `pkg/controller/garbagecollector`.
 */
import type { KubernetesObject, OwnerReference } from '../../api/object.ts';
import { keyOf } from '../../api/object.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import type { DiscoveredType, Discovery } from '../discovery.ts';
import {
  blocks,
  foregroundFinalizer,
  hasFinalizer,
  isDeleting,
  isOwnedBy,
  judgeDependent,
  orphanFinalizer,
  stateOf,
} from './judge-owners.ts';
import type { OwnerState } from './judge-owners.ts';
import { nodeKey, ObjectGraph } from './object-graph.ts';
import type { Node } from './object-graph.ts';

export interface GarbageCollectionOptions {
  client: Pick<Client, 'get' | 'patch' | 'delete'>;
  discover: (signal: AbortSignal) => Promise<Discovery>;
  /** With the indexes of `object-graph.ts`; not started. */
  createInformer: (type: DiscoveredType) => Informer<KubernetesObject>;
  /** Told of every change of every object that is watched here, for duties that would have to watch them all once more. */
  onChange?: (object: KubernetesObject | undefined, previous: KubernetesObject | undefined) => void;
}

/** No object's key begins so. */
const discoveryKey = ':discovery';
const discoveryMs = 30_000;
/** A new kind was declared, or is asked for. */
const soonMs = 500;
const afterConflictMs = 50;
const untilWholeMs = 200;
const needed = ['list', 'watch', 'get', 'delete', 'patch'];
/** Kubernetes leaves events alone as well: they own nothing, are owned by nothing, and there are many. */
const ignored = new Set(['events']);

export class GarbageCollection implements Controller {
  readonly name = 'garbage-collection';
  readonly concurrency = 8;
  readonly #options: GarbageCollectionOptions;
  readonly #graph: ObjectGraph;
  #enqueue: (key: string, delayMs?: number) => void = () => undefined;
  #isStopped = false;

  constructor(options: GarbageCollectionOptions) {
    this.#options = options;
    this.#graph = new ObjectGraph(options.createInformer, (type, _, object, previous) => this.#see(type, object, previous));
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#enqueue = enqueue;
    enqueue(discoveryKey);
  }

  /** Stops watching; before the manager's stop or after it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#graph.stop();
  }

  #see(type: DiscoveredType, object: KubernetesObject | undefined, previous: KubernetesObject | undefined): void {
    const seen = object ?? previous;
    if (seen === undefined) return;
    this.#options.onChange?.(object, previous);
    if (type.kind === 'CustomResourceDefinition') this.#enqueue(discoveryKey, soonMs);
    if (object === undefined || (previous !== undefined && previous.metadata.uid !== object.metadata.uid)) this.#seeGone(previous ?? seen);
    if (object !== undefined && concerns(object, previous)) this.#enqueue(nodeKey({ type, object }));
  }

  #seeGone(gone: KubernetesObject): void {
    for (const dependent of this.#graph.dependentsOf(gone.metadata.uid ?? '')) this.#enqueue(nodeKey(dependent));
    for (const { uid } of gone.metadata.ownerReferences ?? []) {
      const owner = this.#graph.find(uid);
      if (owner !== undefined && isDeleting(owner.object)) this.#enqueue(nodeKey(owner));
    }
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Outcome> {
    if (key === discoveryKey) return this.#discover(signal);
    const node = this.#graph.get(key);
    if (node === undefined) return settled;
    try {
      if (!isDeleting(node.object)) return await this.#collect(node);
      if (hasFinalizer(node.object, orphanFinalizer)) return await this.#orphanDependents(node);
      if (hasFinalizer(node.object, foregroundFinalizer)) return await this.#awaitDependents(node);
      return settled;
    } catch (error) {
      if (isNotFound(error)) return settled;
      if (isConflict(error)) return recheckAfter(afterConflictMs);
      throw error;
    }
  }

  async #discover(signal: AbortSignal): Promise<Outcome> {
    const { types, failures } = await this.#options.discover(signal);
    const collected = types.filter(({ plural, verbs }) => !ignored.has(plural) && needed.every((verb) => verbs.includes(verb)));
    // What could not be asked about may still be there: it stays watched.
    if (failures.length === 0 && !this.#isStopped) await this.#graph.setTypes(collected);
    return recheckAfter(discoveryMs);
  }

  async #collect(node: Node): Promise<Outcome> {
    const { client } = this.#options;
    const { type, object } = node;
    const { uid, resourceVersion } = object.metadata;
    const states = new Map<string, OwnerState>();
    for (const owner of object.metadata.ownerReferences ?? []) states.set(owner.uid, await this.#stateOf(owner, object));
    const hasDependents = this.#graph.dependentsOf(uid ?? '').length > 0;
    const change = judgeDependent(object, (owner) => states.get(owner.uid) ?? 'unknown', hasDependents);
    if (change.kind === 'keep-owners') {
      await client.patch(type, keyOf(object), { metadata: { resourceVersion, ownerReferences: change.ownerReferences } });
    }
    if (change.kind === 'delete') {
      const preconditions = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
      await client.delete(type, keyOf(object), { preconditions, propagationPolicy: change.propagationPolicy });
    }
    if (![...states.values()].includes('unknown')) return settled;
    this.#enqueue(discoveryKey, soonMs);
    return recheckAfter(discoveryMs);
  }

  /** Absence is only believed of the API itself. An owner is looked for in the dependent's own namespace, or in none. */
  async #stateOf(owner: OwnerReference, dependent: KubernetesObject): Promise<OwnerState> {
    const { namespace } = dependent.metadata;
    const known = this.#graph.find(owner.uid);
    if (known !== undefined && (!known.type.namespaced || known.object.metadata.namespace === namespace)) return stateOf(known.object);
    const type = this.#graph.typeOf(owner.apiVersion, owner.kind);
    if (type === undefined) return 'unknown';
    if (type.namespaced && namespace === undefined) return 'absent';
    const key = type.namespaced && namespace !== undefined ? { namespace, name: owner.name } : { name: owner.name };
    try {
      const found = await this.#options.client.get(type, key);
      return found.metadata.uid === owner.uid ? stateOf(found) : 'absent';
    } catch (error) {
      if (isNotFound(error)) return 'absent';
      throw error;
    }
  }

  async #orphanDependents(node: Node): Promise<Outcome> {
    if (!this.#graph.isWhole) return recheckAfter(untilWholeMs);
    const uid = node.object.metadata.uid ?? '';
    for (const { type, object } of this.#graph.dependentsOf(uid)) {
      const { resourceVersion, ownerReferences = [] } = object.metadata;
      const kept = ownerReferences.filter((owner) => owner.uid !== uid);
      await this.#options.client
        .patch(type, keyOf(object), { metadata: { resourceVersion, ownerReferences: kept } })
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        });
    }
    await this.#removeFinalizer(node, orphanFinalizer);
    return settled;
  }

  async #awaitDependents(node: Node): Promise<Outcome> {
    if (!this.#graph.isWhole) return recheckAfter(untilWholeMs);
    const uid = node.object.metadata.uid ?? '';
    const dependents = this.#graph.dependentsOf(uid).filter(({ object }) => isOwnedBy(object, uid));
    for (const dependent of dependents) if (!isDeleting(dependent.object)) this.#enqueue(nodeKey(dependent));
    // A dependent's end brings us back.
    if (!dependents.some(({ object }) => blocks(object, uid))) await this.#removeFinalizer(node, foregroundFinalizer);
    return settled;
  }

  async #removeFinalizer({ type, object }: Node, finalizer: string): Promise<void> {
    const { resourceVersion, finalizers = [] } = object.metadata;
    const kept = finalizers.filter((other) => other !== finalizer);
    await this.#options.client.patch(type, keyOf(object), { metadata: { resourceVersion, finalizers: kept } });
  }
}

/** Whether the collector has anything to say about this version of an object. */
function concerns(object: KubernetesObject, previous: KubernetesObject | undefined): boolean {
  const { ownerReferences, finalizers } = object.metadata;
  if (isDeleting(object)) {
    const isOurs = hasFinalizer(object, orphanFinalizer) || hasFinalizer(object, foregroundFinalizer);
    return isOurs && (previous === undefined || !isDeleting(previous) || String(previous.metadata.finalizers) !== String(finalizers));
  }
  const owners = JSON.stringify(ownerReferences ?? []);
  return owners !== '[]' && owners !== JSON.stringify(previous?.metadata.ownerReferences ?? []);
}

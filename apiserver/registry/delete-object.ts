/** What DELETE means, of one object and of many. */
import type { KubernetesObject, ObjectKey } from '../../api/object.ts';
import { metadataOf } from './decode-object.ts';
import { cloneJson, equalJson, type JsonObject } from '../admission/json-value.ts';
import { listObjects } from './list-objects.ts';
import { forbidden } from './namespace-gate.ts';
import { timestamp } from './object-metadata.ts';
import {
  encodeBounded,
  entryOf,
  reachStore,
  readLatest,
  storeKeyOf,
  unwritten,
  writtenEntry,
  type ResourceContext,
} from './resource-context.ts';
import type { DeleteOptions, DeleteResult, ListOptions, ObjectList } from './resource.ts';
import { conflict, notFound, StatusError } from './status-error.ts';
import type { StoredEntry } from './stored-entry.ts';
import { goesAway } from './update-object.ts';

const attempts = 20;
/** Deletions of a collection that are under way together. */
const deletionsAtOnce = 8;
const foregroundFinalizer = 'foregroundDeletion';
const orphanFinalizer = 'orphan';

export async function deleteObject(context: ResourceContext, key: ObjectKey, options: DeleteOptions): Promise<DeleteResult> {
  const { definition, stored } = context;
  const storeKey = storeKeyOf(context, key);
  const isNamespaceAbsent = definition.namespaced && key.namespace === undefined;
  if (isNamespaceAbsent) throw notFound(definition, key.name);
  if (stored.strategy.protectedNames?.has(key.name) === true) throw forbidden(definition, key.name, 'this namespace may not be deleted');
  const known = stored.cache.latest(storeKey);
  let current = known ?? (await readLatest(context, storeKey));
  let isLatest = known === undefined;
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    if (current === undefined) throw notFound(definition, key.name);
    const step = await admitDeletion(context, key, planDeletion(context, current, options), options);
    // The cache may be behind: a refusal, or that there is nothing to do, counts only of the store's present state.
    if (!isLatest && (step.error !== undefined || step.action === 'wait')) {
      const latest = await readLatest(context, storeKey);
      isLatest = true;
      if (latest?.revision !== current.revision) {
        current = latest;
        continue;
      }
    }
    if (step.error !== undefined) throw step.error;
    const outcome = await carryOut(context, current, step, options);
    if (outcome.result !== undefined) return outcome.result;
    current = outcome.current;
    isLatest = true;
  }
  throw conflict(definition, key.name, 'the object is being modified too often to be deleted; try again');
}

interface DeletionStep {
  action: 'remove' | 'mark' | 'wait';
  before: JsonObject;
  next: JsonObject;
  error?: StatusError;
}

/** The step, or its refusal by admission. */
async function admitDeletion(context: ResourceContext, key: ObjectKey, step: DeletionStep, options: DeleteOptions): Promise<DeletionStep> {
  if (step.error !== undefined) return step;
  const { definition, admission } = context;
  const { name, namespace } = key;
  const request = { definition, subresource: undefined, namespace, name, object: undefined, oldObject: step.before, options };
  try {
    await admission.begin({ operation: 'DELETE', ...request });
    await admission.decide({ operation: 'DELETE', ...request });
    return step;
  } catch (error) {
    if (error instanceof StatusError) return { ...step, error };
    throw error;
  }
}

function planDeletion(context: ResourceContext, current: StoredEntry, options: DeleteOptions): DeletionStep {
  const { strategy } = context.stored;
  const shown = context.view.show(current).object as unknown as JsonObject;
  const next = cloneJson(shown);
  const error = violatedPrecondition(context, shown, current.revision, options);
  if (error !== undefined) return { action: 'wait', before: shown, next, error };
  const metadata = metadataOf(next);
  const wasDeleting = metadata['deletionTimestamp'] !== undefined;
  setFinalizers(metadata, options.propagationPolicy);
  if (!wasDeleting) {
    const nowMs = context.nowMs();
    strategy.prepareForDelete?.(next, nowMs);
    metadata['deletionTimestamp'] = timestamp(nowMs);
    if (strategy.marksGracePeriod) {
      metadata['deletionGracePeriodSeconds'] = 0;
      if (typeof metadata['generation'] === 'number') metadata['generation'] += 1;
    }
  }
  if (goesAway(context, next)) return { action: 'remove', before: shown, next };
  return { action: equalJson(next, shown) ? 'wait' : 'mark', before: shown, next };
}

/** The garbage collector's own finalizers say what becomes of dependents (k8s.io/apiserver `deletionFinalizersForGarbageCollection`). */
function setFinalizers(metadata: JsonObject, policy: DeleteOptions['propagationPolicy']): void {
  if (policy === undefined) return;
  const { finalizers } = metadata;
  const present = Array.isArray(finalizers) ? (finalizers as unknown[]) : [];
  const kept = present.filter((finalizer) => finalizer !== foregroundFinalizer && finalizer !== orphanFinalizer);
  if (policy === 'Foreground') kept.push(foregroundFinalizer);
  if (policy === 'Orphan') kept.push(orphanFinalizer);
  if (kept.length > 0) metadata['finalizers'] = kept;
  else delete metadata['finalizers'];
}

function violatedPrecondition(
  context: ResourceContext,
  shown: JsonObject,
  revision: number,
  { preconditions = {} }: DeleteOptions,
): StatusError | undefined {
  const { group, kind } = context.definition;
  const { name, uid } = metadataOf(shown) as { name: string; uid?: string };
  // Kubernetes names the kind here, where other conflicts name the resource.
  const refuse = (why: string): StatusError => conflict({ group, kind, resource: kind }, name, why);
  if (preconditions.uid !== undefined && preconditions.uid !== uid) {
    return refuse(
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid ?? ''}). The object might have been deleted and then recreated`,
    );
  }
  if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== String(revision)) {
    return refuse(
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${revision}). The object might have been modified`,
    );
  }
  return undefined;
}

interface Outcome {
  result?: DeleteResult;
  current: StoredEntry | undefined;
}

async function carryOut(context: ResourceContext, current: StoredEntry, step: DeletionStep, options: DeleteOptions): Promise<Outcome> {
  const { store, stored, view } = context;
  const { key, revision, createRevision } = current;
  if (step.action === 'wait') return { result: { gone: false, stored: view.show(current) }, current };
  if (step.action === 'remove') {
    const gone: DeleteResult = { gone: true, object: view.show(current).object };
    if (options.dryRun) return { result: gone, current };
    const result = await reachStore(() => store.remove(key, revision));
    if (result.succeeded) {
      stored.cache.noteWrite(key, result.revision, undefined);
      return { result: gone, current };
    }
    return { current: result.current === undefined ? undefined : entryOf(context, result.current) };
  }
  if (options.dryRun) return { result: { gone: false, stored: unwritten(step.next, revision) }, current };
  const value = encodeBounded(view.toStored(step.next));
  const result = await reachStore(() => store.replace(key, value, revision));
  if (result.succeeded) {
    return {
      result: { gone: false, stored: view.show(writtenEntry(context, { key, value, modRevision: result.revision, createRevision })) },
      current,
    };
  }
  return { current: result.current === undefined ? undefined : entryOf(context, result.current) };
}

/** Answers what was there; objects that vanish meanwhile are left out of account. The first refusal ends it. */
export async function deleteCollection(context: ResourceContext, selection: ListOptions, options: DeleteOptions): Promise<ObjectList> {
  const listed = await listObjects(context, selection);
  const queue = listed.items.map(({ object }) => object).values();
  const worker = async (): Promise<void> => {
    for (const object of queue) await deleteListed(context, object, options);
  };
  await Promise.all(Array.from({ length: deletionsAtOnce }, worker));
  return listed;
}

async function deleteListed(context: ResourceContext, object: KubernetesObject, options: DeleteOptions): Promise<void> {
  const { name = '', namespace } = object.metadata;
  try {
    await deleteObject(context, namespace === undefined ? { name } : { namespace, name }, options);
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return;
    throw error;
  }
}

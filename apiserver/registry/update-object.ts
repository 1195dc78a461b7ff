/** What PUT means, and the compare-and-set loop under every change of an existing object. */
import type { ObjectKey } from '../../api/object.ts';
import type { WriteResult as StoreResult } from '../store/store.ts';
import type { Undo } from '../admission/admission-request.ts';
import { checkObject } from './check-object.ts';
import { createObject } from './create-object.ts';
import { decodeObject, dropUnknownFields, metadataOf, metaText } from './decode-object.ts';
import { cloneJson, equalJson, without, type JsonObject } from '../admission/json-value.ts';
import { checkChangedMetadata } from './object-metadata.ts';
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
import type { StoredObject, Subresource, WriteOptions, WriteResult } from './resource.ts';
import { badRequest, conflict, notFound, StatusError } from './status-error.ts';
import type { StoredEntry } from './stored-entry.ts';
import { findSubresource, separatesStatus } from './subresources.ts';

const modifiedMeanwhile = 'the object has been modified; please apply your changes to the latest version and try again';

/** Makes the next state from the present one, both in the request's version; it may change and answer nothing of what it is given. */
type Change = (current: StoredEntry, shown: JsonObject) => JsonObject;

export async function updateObject(
  context: ResourceContext,
  key: ObjectKey,
  body: unknown,
  options: WriteOptions,
  subresource: Subresource | undefined,
): Promise<WriteResult> {
  const { definition, stored } = context;
  const object = decodeObject(definition, body);
  matchUrl(object, key, definition.namespaced);
  dropUnknownFields(definition, object, options);
  stored.strategy.decode?.(object);
  const change: Change = (current, shown) => nextState(context, cloneJson(object), { current, shown, options, subresource });
  try {
    // A PUT that names no revision tries as often as racing writers make it.
    return { stored: await changeObject(context, key, change, { options, subresource, attempts: 20 }), created: false };
  } catch (error) {
    const absent = error instanceof StatusError && error.status.reason === 'NotFound';
    if (!absent || !stored.strategy.createOnUpdate || subresource !== undefined) throw error;
    const metadata = without(metadataOf(object), 'resourceVersion');
    return { stored: await createObject(context, key.namespace, { ...object, metadata }, options), created: true };
  }
}

/** The body may leave out what the URL says, but not say otherwise. */
export function matchUrl(object: JsonObject, key: ObjectKey, namespaced: boolean): void {
  const metadata = metadataOf(object);
  const name = metaText(object, 'name');
  if (name !== undefined && name !== key.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${key.name})`);
  }
  const namespace = metaText(object, 'namespace');
  if (namespace !== undefined && (!namespaced || namespace !== key.namespace)) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  metadata['name'] = key.name;
  if (key.namespace !== undefined) metadata['namespace'] = key.namespace;
}

export interface Transition {
  current: StoredEntry;
  shown: JsonObject;
  options: WriteOptions;
  subresource: Subresource | undefined;
}

/**
 * Checks `object`, which is to replace what `transition` says is there, and fills what the server decides. Throws 409 when it was made for
 * another revision or another object, 422 when it is invalid.
 */
export function nextState(context: ResourceContext, object: JsonObject, transition: Transition): JsonObject {
  const { definition, stored } = context;
  const { current, shown, options, subresource } = transition;
  checkPreconditions(context, object, current, shown);
  definition.schema.applyDefaults(object);
  const next = keepOtherHalf(context, object, shown, subresource);
  keepSystemFields(metadataOf(next), metadataOf(shown));
  stored.strategy.prepareForUpdate?.(next, shown, { subresource, nowMs: context.nowMs() });
  countGeneration(context, next, shown);
  const metadataErrors = checkChangedMetadata(next, shown, options);
  checkObject({ definition, strategy: stored.strategy, object: next, old: shown, metadataErrors, subresource });
  context.checkWrite?.({ definition, subresource, object: next, old: shown, options });
  return next;
}

function checkPreconditions(context: ResourceContext, object: JsonObject, current: StoredEntry, shown: JsonObject): void {
  const { definition, stored } = context;
  const name = metaText(shown, 'name') ?? '';
  const uid = metaText(object, 'uid');
  const currentUid = metaText(shown, 'uid');
  if (uid !== undefined && uid !== currentUid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid ?? ''}`;
    throw conflict(
      definition,
      name,
      `StorageError: invalid object, Code: 4, Key: ${current.key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
    );
  }
  const resourceVersion = metaText(object, 'resourceVersion') ?? '0';
  if (!/^[0-9]{1,19}$/.test(resourceVersion)) {
    throw badRequest(`invalid resource version: strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`);
  }
  if (Number(resourceVersion) === 0) {
    if (!stored.strategy.unconditionalUpdate) throw revisionRequired(context, name);
  } else if (resourceVersion !== String(current.revision)) {
    throw conflict(definition, name, modifiedMeanwhile);
  }
}

function revisionRequired(context: ResourceContext, name: string): StatusError {
  const { group, resource } = context.definition;
  const message = 'Invalid value: 0: must be specified for an update';
  const field = 'metadata.resourceVersion';
  return new StatusError({
    message: `${group === '' ? resource : `${resource}.${group}`} "${name}" is invalid: ${field}: ${message}`,
    reason: 'Invalid',
    details: { name, ...(group === '' ? {} : { group }), kind: resource, causes: [{ reason: 'FieldValueInvalid', message, field }] },
    code: 422,
  });
}

/** A subresource changes its own field and nothing else; with `/status`, the main resource leaves the status alone. */
function keepOtherHalf(context: ResourceContext, object: JsonObject, shown: JsonObject, subresource: Subresource | undefined): JsonObject {
  const { definition } = context;
  const field = subresource === undefined ? undefined : findSubresource(definition, subresource)?.field;
  if (field !== undefined) return withField(cloneJson(shown), field, object[field]);
  return separatesStatus(definition) ? withField(object, 'status', cloneJson(shown['status'])) : object;
}

function withField(object: JsonObject, field: string, value: unknown): JsonObject {
  return { ...without(object, field), ...(value === undefined ? {} : { [field]: value }) };
}

/** After k8s.io/apimachinery `ValidateObjectMetaAccessorUpdate`: what a client leaves out, or cannot change, stays. */
function keepSystemFields(metadata: JsonObject, old: JsonObject): void {
  const restore = (field: string): void => {
    if (old[field] === undefined) Reflect.deleteProperty(metadata, field);
    else metadata[field] = cloneJson(old[field]);
  };
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp', 'generation', 'managedFields', 'selfLink']) restore(field);
  // A deletion that began cannot be taken back; that a client cannot begin one this way is for validation to say.
  if (old['deletionTimestamp'] !== undefined) restore('deletionTimestamp');
  if (old['deletionGracePeriodSeconds'] !== undefined) restore('deletionGracePeriodSeconds');
}

function countGeneration(context: ResourceContext, next: JsonObject, shown: JsonObject): void {
  const { definition, stored } = context;
  if (!stored.strategy.countsGenerations) return;
  const desired = (object: JsonObject): JsonObject => {
    return separatesStatus(definition) ? without(object, 'metadata', 'status') : without(object, 'metadata');
  };
  if (equalJson(desired(next), desired(shown))) return;
  const metadata = metadataOf(next);
  metadata['generation'] = Number(metadata['generation'] ?? 0) + 1;
}

export interface ChangeOptions {
  options: WriteOptions;
  subresource: Subresource | undefined;
  /** Writes that may lose a race before 409. */
  attempts: number;
}

/**
 * Replaces an object by what `change` makes of it, by compare-and-set, again while others come between. The first attempt starts from
 * the cache, which may be behind: what it refuses, or finds unchanged, is looked at again with the store's own state.
 */
export async function changeObject(context: ResourceContext, key: ObjectKey, change: Change, how: ChangeOptions): Promise<StoredObject> {
  const { definition, stored } = context;
  const storeKey = storeKeyOf(context, key);
  const known = stored.cache.latest(storeKey);
  let current = known ?? (await readLatest(context, storeKey));
  let isLatest = known === undefined;
  for (let attempt = 1; attempt <= how.attempts;) {
    if (current === undefined) throw notFound(definition, key.name);
    const outcome = await tryChange(context, current, change, how);
    if (!isLatest && outcome.needsLatest) {
      const latest = await readLatest(context, storeKey);
      isLatest = true;
      if (latest?.revision !== current.revision) {
        current = latest;
        continue;
      }
    }
    if (outcome.error !== undefined) throw outcome.error;
    if (outcome.next === undefined) return context.view.show(current);
    const written = await writeNext(context, current, outcome.next, how.options);
    if (written.done !== undefined) return written.done;
    await outcome.undo?.();
    current = written.current;
    isLatest = true;
    attempt += 1;
  }
  throw conflict(definition, key.name, modifiedMeanwhile);
}

interface Attempt {
  /** Absent when nothing would change. */
  next?: JsonObject;
  /** Takes back what admission set aside for `next`. */
  undo?: Undo;
  error?: Error;
  /** Whether this counts only if `current` is the store's present state. */
  needsLatest: boolean;
}

/** What is refused here may be allowed of a later state. What is allowed counts of this one: the write compares its revision. */
async function tryChange(context: ResourceContext, current: StoredEntry, change: Change, how: ChangeOptions): Promise<Attempt> {
  const { definition, admission } = context;
  const { options, subresource } = how;
  const shown = context.view.show(current).object as unknown as JsonObject;
  try {
    const next = change(current, shown);
    const metadata = metadataOf(next);
    metadata['resourceVersion'] = String(current.revision);
    const name = metaText(next, 'name') ?? '';
    const namespace = metaText(next, 'namespace');
    const request = { operation: 'UPDATE', definition, subresource, namespace, name, object: next, oldObject: shown, options } as const;
    await admission.begin(request);
    const undo = await admission.decide(request);
    // An object of an older stored version is written anew also when nothing changed: that is how storage is migrated.
    const isCurrentForm = current.object.apiVersion === context.stored.storageApiVersion;
    if (isCurrentForm && equalJson(next, shown) && !goesAway(context, next)) return { needsLatest: true };
    return { next, undo, needsLatest: false };
  } catch (error) {
    if (error instanceof StatusError) return { error, needsLatest: true };
    throw error;
  }
}

/** A deletion that waited ends with the last finalizer. */
export function goesAway(context: ResourceContext, object: JsonObject): boolean {
  const { deletionTimestamp, finalizers } = metadataOf(object);
  if (deletionTimestamp === undefined || (Array.isArray(finalizers) && finalizers.length > 0)) return false;
  return context.stored.strategy.holdsDeletion?.(object) !== true;
}

interface Written {
  done?: StoredObject;
  /** What the store has instead. */
  current: StoredEntry | undefined;
}

async function writeNext(context: ResourceContext, current: StoredEntry, next: JsonObject, options: WriteOptions): Promise<Written> {
  const { store, stored, view } = context;
  const { key, revision, createRevision } = current;
  const removes = goesAway(context, next);
  const value = encodeBounded(view.toStored(next));
  if (options.dryRun) return { done: unwritten(next, revision), current };
  const { timeToLiveSeconds } = stored.strategy;
  const lifetime = timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds };
  const result: StoreResult = await reachStore(() =>
    removes ? store.remove(key, revision) : store.replace(key, value, revision, lifetime),
  );
  if (!result.succeeded) return { current: result.current === undefined ? undefined : entryOf(context, result.current) };
  if (removes) {
    stored.cache.noteWrite(key, result.revision, undefined);
    return { done: unwritten(next, revision), current };
  }
  return { done: view.show(writtenEntry(context, { key, value, modRevision: result.revision, createRevision })), current };
}

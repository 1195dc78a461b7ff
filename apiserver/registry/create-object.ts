/** What POST means. */
import type { AdmissionRequest } from '../admission/admission-request.ts';
import { checkObject } from './check-object.ts';
import { decodeObject, dropUnknownFields, metadataOf, metaText } from './decode-object.ts';
import { cloneJson, type JsonObject } from '../admission/json-value.ts';
import { forbidden } from './namespace-gate.ts';
import { checkNewMetadata, timestamp } from './object-metadata.ts';
import type { StoredObject, WriteOptions } from './resource.ts';
import { encodeBounded, reachStore, storeKeyOf, unwritten, writtenEntry, type ResourceContext } from './resource-context.ts';
import { alreadyExists, badRequest, StatusError } from './status-error.ts';
import { separatesStatus } from './subresources.ts';

/** Names that are tried before a collision of generated ones is reported (k8s.io/apiserver `registry/generic/registry/store.go`). */
const generateAttempts = 8;
/** A generated name is the base cut to this length, and five characters. */
const maxGeneratedBase = 58;

/** Of the metadata: what a client cannot set. */
const systemFields = [
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'managedFields',
  'resourceVersion',
  'generation',
] as const;

export async function createObject(
  context: ResourceContext,
  namespace: string | undefined,
  body: unknown,
  options: WriteOptions,
): Promise<StoredObject> {
  const { definition, stored } = context;
  const object = decodeObject(definition, body);
  const metadata = metadataOf(object);
  if (metaText(object, 'resourceVersion') !== undefined) throw badRequest('resourceVersion should not be set on objects to be created');
  setNamespace(context, metadata, namespace);
  dropUnknownFields(definition, object, options);
  stored.strategy.decode?.(object);
  if (stored.terminating) {
    const name = metaText(object, 'name') ?? '';
    throw forbidden(definition, name, 'create not allowed while custom resource definition is terminating');
  }
  const generateName = metaText(object, 'name') === undefined ? metaText(object, 'generateName') : undefined;
  for (let attempt = 1; ; attempt += 1) {
    const candidate = generateName === undefined ? object : cloneJson(object);
    if (generateName !== undefined) metadataOf(candidate)['name'] = generateName.slice(0, maxGeneratedBase) + context.newSuffix();
    try {
      return await createOnce(context, candidate, options);
    } catch (error) {
      const collided = error instanceof StatusError && error.status.reason === 'AlreadyExists';
      if (generateName === undefined || !collided || attempt >= generateAttempts) throw error;
    }
  }
}

async function createOnce(context: ResourceContext, object: JsonObject, options: WriteOptions): Promise<StoredObject> {
  const { definition, stored, view, store } = context;
  const name = metaText(object, 'name') ?? '';
  const namespace = metaText(object, 'namespace');
  const request: AdmissionRequest = {
    operation: 'CREATE',
    definition,
    subresource: undefined,
    namespace,
    name,
    object,
    oldObject: undefined,
    options,
  };
  await context.admission.begin(request);
  prepare(context, object, options);
  const metadataErrors = checkNewMetadata(context, object, options);
  checkObject({ definition, strategy: stored.strategy, object, old: undefined, metadataErrors, subresource: undefined });
  context.checkWrite?.({ definition, subresource: undefined, object, old: undefined, options });
  const storeKey = storeKeyOf(context, { name, ...(namespace === undefined ? {} : { namespace }) });
  const storedForm = view.toStored(object);
  const value = encodeBounded(storedForm);
  const undo = await context.admission.decide(request);
  if (options.dryRun) {
    const { entry } = await reachStore(() => store.get(storeKey));
    if (entry !== undefined) throw alreadyExists(definition, name);
    return unwritten(object, 0);
  }
  const { timeToLiveSeconds } = stored.strategy;
  const lifetime = timeToLiveSeconds === undefined ? {} : { timeToLiveSeconds };
  const result = await reachStore(() => store.create(storeKey, value, lifetime));
  if (!result.succeeded) {
    await undo();
    throw alreadyExists(definition, name);
  }
  return view.show(writtenEntry(context, { key: storeKey, value, modRevision: result.revision, createRevision: result.revision }));
}

/** Fills what the server decides of a new object. */
function prepare(context: ResourceContext, object: JsonObject, { user }: WriteOptions): void {
  const { definition, stored } = context;
  const { strategy } = stored;
  const metadata = metadataOf(object);
  for (const field of systemFields) Reflect.deleteProperty(metadata, field);
  metadata['uid'] = context.newUid();
  metadata['creationTimestamp'] = timestamp(context.nowMs());
  if (strategy.countsGenerations) metadata['generation'] = 1;
  definition.schema.applyDefaults(object);
  if (definition.custom && separatesStatus(definition)) delete object['status'];
  strategy.prepareForCreate?.(object, user);
}

/** The URL's namespace, which the body may repeat but not change. */
function setNamespace(context: ResourceContext, metadata: JsonObject, namespace: string | undefined): void {
  if (!context.definition.namespaced) {
    if (typeof metadata['namespace'] === 'string' && metadata['namespace'] !== '') {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
    delete metadata['namespace'];
    return;
  }
  if (namespace === undefined || namespace === '') throw badRequest('an empty namespace may not be set during creation');
  const given = metadata['namespace'];
  if (given !== undefined && given !== null && given !== '' && given !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  metadata['namespace'] = namespace;
}

/** Resources that store nothing: a POST asks a question, and its answer is the object with a status. */
import { isObject, objectAt, type JsonObject } from '../../admission/json-value.ts';
import type { JsonSchema, StructuralSchema } from '../../admission/structural-schema.ts';
import { decodeObject, dropUnknownFields } from '../../registry/decode-object.ts';
import { unwritten } from '../../registry/resource-context.ts';
import type { ResourceDefinition, ResourceOperations, StoredObject, UserInfo, WriteOptions } from '../../registry/resource.ts';
import { invalid, StatusError, type FieldError } from '../../registry/status-error.ts';

interface ReviewType {
  group: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  schema: StructuralSchema;
}

export function reviewDefinition(type: ReviewType): ResourceDefinition {
  return {
    ...type,
    version: 'v1',
    singular: type.kind.toLowerCase(),
    listKind: `${type.kind}List`,
    shortNames: [],
    categories: [],
    verbs: ['create'],
    subresources: [],
    selectableFields: new Map(),
    printerColumns: [],
    patchTypes: [],
    custom: false,
    storageVersionHash: '',
  };
}

/** A spec of `properties`; what the server answers in the status is left open. */
export function reviewSchema(description: string, properties: Record<string, JsonSchema>): JsonSchema {
  return {
    type: 'object',
    description,
    properties: {
      apiVersion: { type: 'string', description: 'APIVersion defines the versioned schema of this representation of an object.' },
      kind: { type: 'string', description: 'Kind is a string value representing the REST resource this object represents.' },
      metadata: { type: 'object', description: "Standard object's metadata." },
      spec: { type: 'object', description: 'The question.', properties },
      status: {
        type: 'object',
        nullable: true,
        description: 'Filled in by the server: the answer.',
        'x-kubernetes-preserve-unknown-fields': true,
      },
    },
  };
}

export function specOf(object: JsonObject): JsonObject {
  return objectAt(object, 'spec') ?? {};
}

export interface Question {
  spec: JsonObject;
  /** Of the URL. */
  namespace: string | undefined;
  user: UserInfo;
}

interface ReviewOptions {
  /** What is wrong with the spec beyond its schema. */
  check?: (spec: JsonObject) => FieldError[];
  /** The status of the answer. */
  answer: (question: Question) => JsonObject | Promise<JsonObject>;
}

export function createReview(definition: ResourceDefinition, { check, answer }: ReviewOptions): ResourceOperations {
  const create = async (namespace: string | undefined, body: unknown, options: WriteOptions): Promise<StoredObject> => {
    const object = decodeObject(definition, body);
    dropUnknownFields(definition, object, options);
    const errors = definition.schema.validate(object);
    const spec = specOf(object);
    if (errors.length === 0) errors.push(...(check?.(spec) ?? []));
    if (errors.length > 0) throw invalid(definition, '', errors);
    const status = await answer({ spec, namespace, user: options.user });
    const { kind, apiVersion, metadata } = object;
    const own = isObject(metadata) ? metadata : {};
    const shown = objectAt(object, 'spec') === undefined ? {} : { spec };
    return unwritten({ kind, apiVersion, metadata: { ...own, creationTimestamp: null }, ...shown, status }, 0);
  };
  return {
    definition,
    create,
    get: refuse,
    list: refuse,
    watch: refuse,
    update: refuse,
    patch: refuse,
    delete: refuse,
    deleteCollection: refuse,
  };
}

function refuse(): Promise<never> {
  return Promise.reject(
    new StatusError({
      message: 'the server does not allow this method on the requested resource',
      reason: 'MethodNotAllowed',
      details: {},
      code: 405,
    }),
  );
}

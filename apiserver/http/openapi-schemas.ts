/** The schemas of an OpenAPI document: those of the resources as declared, and those that all objects share. Pure. */
import { apiVersionOf } from '../../api/resource-type.ts';
import type { JsonSchema } from '../admission/structural-schema.ts';
import type { ResourceDefinition } from '../registry/resource.ts';

export type SchemaNode = JsonSchema & { $ref?: string };

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
export const sharedNames = {
  objectMeta: `${meta}.ObjectMeta`,
  listMeta: `${meta}.ListMeta`,
  status: `${meta}.Status`,
  deleteOptions: `${meta}.DeleteOptions`,
  patch: `${meta}.Patch`,
};

const text = (description: string): SchemaNode => ({ type: 'string', description });
const time = (description: string): SchemaNode => ({ type: 'string', format: 'date-time', description });
const integer = (description: string): SchemaNode => ({ type: 'integer', format: 'int64', description });
const flag = (description: string): SchemaNode => ({ type: 'boolean', description });
const textMap = (description: string): SchemaNode => ({
  type: 'object',
  description,
  additionalProperties: { type: 'string', default: '' },
});
const ref = (prefix: string, name: string): SchemaNode => ({ $ref: `${prefix}${name}` });

/** `dev.potluck.v1alpha1.Instance` for a custom resource, `io.k8s.api.core.v1.Secret` for a built-in one. */
export function schemaNameOf({ group, version, kind, custom }: ResourceDefinition): string {
  if (custom) return [...group.split('.').reverse(), version, kind].join('.');
  return `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
}

/** `prefix` is what a `$ref` begins with in this version of OpenAPI. */
export function schemasOf(definitions: readonly ResourceDefinition[], prefix: string): Record<string, SchemaNode> {
  const schemas: Record<string, SchemaNode> = {};
  for (const definition of definitions) {
    const name = schemaNameOf(definition);
    schemas[name] = objectSchema(definition, prefix);
    schemas[`${name}List`] = listSchema(definition, prefix);
  }
  return { ...schemas, ...sharedSchemas(prefix, definitions) };
}

function objectSchema(definition: ResourceDefinition, prefix: string): SchemaNode {
  const { declared } = definition.schema;
  const { apiVersion, kind, metadata, ...properties } = declared.properties ?? {};
  return {
    ...declared,
    type: 'object',
    properties: {
      apiVersion: { ...text('The versioned schema of this object.'), ...apiVersion },
      kind: { ...text('The kind of this object.'), ...kind },
      metadata: { ...ref(prefix, sharedNames.objectMeta), description: metadata?.description ?? 'Standard object metadata.' },
      ...properties,
    },
    'x-kubernetes-group-version-kind': [gvk(definition, definition.kind)],
  };
}

function listSchema(definition: ResourceDefinition, prefix: string): SchemaNode {
  return {
    description: `${definition.listKind} is a list of ${definition.kind}.`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: text('The versioned schema of this object.'),
      kind: text('The kind of this object.'),
      metadata: { ...ref(prefix, sharedNames.listMeta), description: 'Standard list metadata.' },
      items: { type: 'array', description: 'The objects.', items: ref(prefix, schemaNameOf(definition)) },
    },
    'x-kubernetes-group-version-kind': [gvk(definition, definition.listKind)],
  };
}

export function gvk(
  { group, version }: { group: string; version: string },
  kind: string,
): { group: string; version: string; kind: string } {
  return { group, version, kind };
}

/** DeleteOptions belongs to every group version that can delete. */
function sharedSchemas(prefix: string, definitions: readonly ResourceDefinition[]): Record<string, SchemaNode> {
  const versions = new Map(definitions.map(({ group, version }) => [apiVersionOf({ group, version }), { group, version }]));
  return {
    [sharedNames.objectMeta]: objectMeta(prefix),
    [`${meta}.OwnerReference`]: ownerReference,
    [`${meta}.ManagedFieldsEntry`]: managedFieldsEntry,
    [sharedNames.listMeta]: {
      description: 'ListMeta is metadata that every list has.',
      type: 'object',
      properties: {
        continue: text('Where the list goes on, when there is more.'),
        remainingItemCount: integer('How many objects are beyond this page.'),
        resourceVersion: text('The version of the whole list.'),
      },
    },
    [sharedNames.status]: {
      description: 'Status says how a call went.',
      type: 'object',
      properties: {
        apiVersion: text('The versioned schema of this object.'),
        kind: text('The kind of this object.'),
        metadata: ref(prefix, sharedNames.listMeta),
        status: text('Success or Failure.'),
        message: text('What happened, for people.'),
        reason: text('What happened, in one CamelCase word.'),
        details: { type: 'object', description: 'More about the reason.', 'x-kubernetes-preserve-unknown-fields': true },
        code: { type: 'integer', format: 'int32', description: 'The HTTP code.' },
      },
      'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Status' }],
    },
    [sharedNames.deleteOptions]: {
      description: 'DeleteOptions says how to delete.',
      type: 'object',
      properties: {
        apiVersion: text('The versioned schema of this object.'),
        kind: text('The kind of this object.'),
        dryRun: { type: 'array', items: { type: 'string' }, description: 'All: store nothing.' },
        gracePeriodSeconds: integer('How long the object may take to go.'),
        orphanDependents: flag('Deprecated: use propagationPolicy.'),
        preconditions: {
          type: 'object',
          description: 'What must hold for the object to be deleted.',
          properties: { resourceVersion: text('The resourceVersion that it must have.'), uid: text('The uid that it must have.') },
        },
        propagationPolicy: text('What becomes of dependents: Orphan, Background or Foreground.'),
      },
      'x-kubernetes-group-version-kind': [...versions.values()].map((version) => gvk(version, 'DeleteOptions')),
    },
    [sharedNames.patch]: { description: 'Patch is a change in one of the forms that the operation consumes.', type: 'object' },
  };
}

function objectMeta(prefix: string): SchemaNode {
  return {
    description: 'ObjectMeta is metadata that every stored object has.',
    type: 'object',
    properties: {
      annotations: textMap('Facts about the object for tools and people; not for selecting.'),
      creationTimestamp: time('When the object was created. Set by the server.'),
      deletionGracePeriodSeconds: integer('How long the object may take to go. Set by the server.'),
      deletionTimestamp: time('When the object was asked to go. Set by the server.'),
      finalizers: {
        type: 'array',
        items: { type: 'string', default: '' },
        description: 'The object stays until this list is empty.',
        'x-kubernetes-list-type': 'set',
      },
      generateName: text('What the server makes a unique name from, when there is no name.'),
      generation: integer('Grows with every change of the desired state. Set by the server.'),
      labels: textMap('Facts by which objects are selected.'),
      managedFields: {
        type: 'array',
        items: ref(prefix, `${meta}.ManagedFieldsEntry`),
        description: 'Which manager set which fields.',
        'x-kubernetes-list-type': 'atomic',
      },
      name: text('Unique in its namespace; cannot be changed.'),
      namespace: text('The space in which the name is unique; cannot be changed.'),
      ownerReferences: {
        type: 'array',
        items: ref(prefix, `${meta}.OwnerReference`),
        description: 'The objects that this one goes with.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['uid'],
      },
      resourceVersion: text('Changes with every change of the object. Set by the server.'),
      selfLink: text('No longer set.'),
      uid: text('Unique in time and space. Set by the server.'),
    },
  };
}

const ownerReference: SchemaNode = {
  description: 'OwnerReference names an object that owns this one, in the same namespace or without one.',
  type: 'object',
  required: ['apiVersion', 'kind', 'name', 'uid'],
  properties: {
    apiVersion: text('The API version of the owner.'),
    blockOwnerDeletion: flag('The owner, deleted in the foreground, waits for this object.'),
    controller: flag('The owner is the one that manages this object.'),
    kind: text('The kind of the owner.'),
    name: text('The name of the owner.'),
    uid: text('The uid of the owner.'),
  },
  'x-kubernetes-map-type': 'atomic',
};

const managedFieldsEntry: SchemaNode = {
  description: 'ManagedFieldsEntry is a set of fields and who manages them.',
  type: 'object',
  properties: {
    apiVersion: text('The version of the fields.'),
    fieldsType: text('FieldsV1.'),
    fieldsV1: { type: 'object', description: 'The set of fields.', 'x-kubernetes-preserve-unknown-fields': true },
    manager: text('Who manages the fields.'),
    operation: text('Apply or Update.'),
    subresource: text('The subresource through which the fields were set.'),
    time: time('When the fields were last changed.'),
  },
};

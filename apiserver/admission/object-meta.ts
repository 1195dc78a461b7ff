/** What `metadata` may hold. Rules and texts follow k8s.io/apimachinery `api/validation/objectmeta.go`. */
import {
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from '../../api/name-rules.ts';
import type { ObjectMeta, OwnerReference } from '../../api/object.ts';
import type { FieldError } from '../registry/status-error.ts';
import { forbiddenField, invalidValue, requiredValue, tooLong } from './field-errors.ts';
import type { JsonSchema } from './structural-schema.ts';
import { compileValidator } from './validate-value.ts';

/** What a resource's names must be; `path-segment` only keeps them usable in URLs. */
export type NameRule = 'dns-subdomain' | 'dns-label' | 'dns-1035-label' | 'path-segment';

export interface ObjectMetaOptions {
  namespaced: boolean;
  /** Default `dns-subdomain`. */
  nameRule?: NameRule;
}

const annotationsMaxBytes = 256 * 1024;

const text: JsonSchema = { type: 'string' };
const nullableText: JsonSchema = { type: 'string', nullable: true };
const nullableCount: JsonSchema = { type: 'integer', nullable: true };
const nullableTime: JsonSchema = { type: 'string', format: 'date-time', nullable: true };
const texts: JsonSchema = { type: 'object', nullable: true, additionalProperties: text };

/** Types only, so that what follows can rely on them. */
const metadataSchema: JsonSchema = {
  type: 'object',
  properties: {
    name: nullableText,
    generateName: nullableText,
    namespace: nullableText,
    selfLink: nullableText,
    uid: nullableText,
    resourceVersion: nullableText,
    generation: nullableCount,
    creationTimestamp: nullableTime,
    deletionTimestamp: nullableTime,
    deletionGracePeriodSeconds: nullableCount,
    labels: texts,
    annotations: texts,
    finalizers: { type: 'array', nullable: true, items: text },
    ownerReferences: {
      type: 'array',
      nullable: true,
      items: {
        type: 'object',
        properties: {
          apiVersion: text,
          kind: text,
          name: text,
          uid: text,
          controller: { type: 'boolean', nullable: true },
          blockOwnerDeletion: { type: 'boolean', nullable: true },
        },
      },
    },
    managedFields: { type: 'array', nullable: true, items: { type: 'object' } },
  },
};

const checkTypes = compileValidator(metadataSchema);

function pathSegmentProblems(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((character) => name.includes(character)).map((character) => `may not contain '${character}'`);
}

const nameProblems: Readonly<Record<NameRule, (name: string) => string[]>> = {
  'dns-subdomain': dnsSubdomainProblems,
  'dns-label': dnsLabelProblems,
  'dns-1035-label': dns1035LabelProblems,
  'path-segment': pathSegmentProblems,
};

function invalidFor(field: string, value: string, problems: readonly string[]): FieldError[] {
  return problems.map((problem) => invalidValue(field, value, problem));
}

function checkName({ name, generateName }: ObjectMeta, rule: NameRule): FieldError[] {
  const errors: FieldError[] = [];
  const problemsOf = nameProblems[rule];
  if (generateName) {
    // What is appended makes up for a dash at the end.
    errors.push(...invalidFor('metadata.generateName', generateName, problemsOf(generateName.replace(/-$/, 'a'))));
  }
  if (name) errors.push(...invalidFor('metadata.name', name, problemsOf(name)));
  else errors.push(requiredValue('metadata.name', 'name or generateName is required'));
  return errors;
}

function checkNamespace({ namespace }: ObjectMeta, namespaced: boolean): FieldError[] {
  if (!namespaced) return namespace ? [forbiddenField('metadata.namespace', 'not allowed on this type')] : [];
  return namespace ? invalidFor('metadata.namespace', namespace, dnsLabelProblems(namespace)) : [requiredValue('metadata.namespace')];
}

function checkLabels(labels: Readonly<Record<string, string>>): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...invalidFor('metadata.labels', key, qualifiedNameProblems(key)),
    ...invalidFor('metadata.labels', value, labelValueProblems(value)),
  ]);
}

function checkAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const errors = Object.keys(annotations).flatMap((key) =>
    invalidFor('metadata.annotations', key, qualifiedNameProblems(key.toLowerCase())),
  );
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  if (bytes > annotationsMaxBytes) errors.push(tooLong('metadata.annotations', annotationsMaxBytes));
  return errors;
}

function checkOwners(owners: readonly OwnerReference[]): FieldError[] {
  const field = 'metadata.ownerReferences';
  const errors: FieldError[] = [];
  for (const owner of owners) {
    if (!owner.apiVersion) errors.push(invalidValue(`${field}.apiVersion`, '', 'version must not be empty'));
    for (const key of ['kind', 'name', 'uid'] as const) {
      if (!owner[key]) errors.push(invalidValue(`${field}.${key}`, '', 'must not be empty'));
    }
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      errors.push(invalidValue(field, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
  }
  const [first, second] = owners.filter(({ controller }) => controller === true).map(({ kind, name }) => `${kind}/${name}`);
  if (first !== undefined && second !== undefined) {
    const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`;
    errors.push(invalidValue(field, owners, detail));
  }
  return errors;
}

function checkFinalizers(finalizers: readonly string[]): FieldError[] {
  const errors = finalizers.flatMap((finalizer) => invalidFor('metadata.finalizers', finalizer, qualifiedNameProblems(finalizer)));
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(invalidValue('metadata.finalizers', finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return errors;
}

/** Empty when every field has its type. */
function typeErrors(metadata: unknown): FieldError[] {
  const errors: FieldError[] = [];
  checkTypes(metadata, { path: ['metadata'], errors }, undefined);
  return errors;
}

function contentErrors(metadata: ObjectMeta): FieldError[] {
  // Null stands for an absent value.
  return [
    ...checkLabels((metadata.labels as ObjectMeta['labels'] | null) ?? {}),
    ...checkAnnotations((metadata.annotations as ObjectMeta['annotations'] | null) ?? {}),
    ...checkOwners((metadata.ownerReferences as ObjectMeta['ownerReferences'] | null) ?? []),
    ...checkFinalizers((metadata.finalizers as ObjectMeta['finalizers'] | null) ?? []),
  ];
}

/** What is wrong with the metadata of an object that is to be created, its generated name and its namespace filled in. */
export function validateObjectMeta(metadata: unknown, options: ObjectMetaOptions): FieldError[] {
  const wrongTypes = typeErrors(metadata);
  if (wrongTypes.length > 0) return wrongTypes;
  const typed = metadata as ObjectMeta;
  return [...checkName(typed, options.nameRule ?? 'dns-subdomain'), ...checkNamespace(typed, options.namespaced), ...contentErrors(typed)];
}

const immutableFields = ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const;

/** What is wrong with a change of metadata; what the server fills in (uid, creationTimestamp…) is filled in. */
export function validateObjectMetaUpdate(metadata: unknown, old: ObjectMeta): FieldError[] {
  const wrongTypes = typeErrors(metadata);
  if (wrongTypes.length > 0) return wrongTypes;
  const typed = metadata as ObjectMeta;
  const errors: FieldError[] = [];
  const added = (typed.finalizers ?? []).filter((finalizer) => !(old.finalizers ?? []).includes(finalizer)).sort();
  if (old.deletionTimestamp && added.length > 0) {
    const list = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`;
    const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
    errors.push(forbiddenField('metadata.finalizers', detail));
  }
  for (const field of immutableFields) {
    const [now, before] = [typed[field] ?? null, old[field] ?? null];
    if (now !== before) errors.push(invalidValue(`metadata.${field}`, now, 'field is immutable'));
  }
  return [...errors, ...contentErrors(typed)];
}

const wellKnownFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/** Warnings for finalizers that say no domain, of those that were not there before. */
export function finalizerWarnings(metadata: ObjectMeta, old?: ObjectMeta): string[] {
  return (metadata.finalizers ?? [])
    .filter((finalizer) => !finalizer.includes('/') && !wellKnownFinalizers.has(finalizer) && !(old?.finalizers ?? []).includes(finalizer))
    .map(
      (finalizer) =>
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
    );
}

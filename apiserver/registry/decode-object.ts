/** From the decoded body of a request to an object of the resource that it is for. */
import { apiVersionOf } from '../../api/resource-type.ts';
import { cloneJson, isObject, objectAt, without, type JsonObject } from '../admission/json-value.ts';
import type { ResourceDefinition, WriteOptions } from './resource.ts';
import { badRequest, StatusError } from './status-error.ts';

/** Characters of a body that an error quotes. */
const quotedLength = 30;

/**
 * A copy of `body` that is an object of `definition`'s version. Built-in types may leave out kind and apiVersion; a custom resource's wrong
 * kind is left for validation, as Kubernetes does. Throws 400.
 */
export function decodeObject(definition: ResourceDefinition, body: unknown): JsonObject {
  if (!isObject(body)) throw unrecognized(definition, body, `json: cannot unmarshal ${nameOfType(body)} into an object`);
  checkType(definition, body);
  const { metadata } = body;
  if (metadata !== undefined && metadata !== null && !isObject(metadata)) {
    throw unrecognized(definition, body, `json: cannot unmarshal ${nameOfType(metadata)} into the field metadata`);
  }
  const kind = body['kind'] ?? definition.kind;
  const rest = without(body, 'apiVersion', 'kind', 'metadata');
  return cloneJson({ apiVersion: apiVersionOf(definition), kind, metadata: withoutEmptyFields(metadata ?? {}), ...rest });
}

/** Of metadata an empty field is the same as none, and is not kept. */
function withoutEmptyFields(metadata: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

function checkType(definition: ResourceDefinition, body: JsonObject): void {
  const { kind, version, custom } = definition;
  const { kind: givenKind, apiVersion: givenVersion } = body;
  const expected = apiVersionOf(definition);
  if (custom || givenKind !== undefined || givenVersion !== undefined) {
    if (!isFilled(givenKind)) throw unrecognized(definition, body, `Object 'Kind' is missing in '${JSON.stringify(body)}'`);
    if (!isFilled(givenVersion)) throw unrecognized(definition, body, `Object 'apiVersion' is missing in '${JSON.stringify(body)}'`);
  }
  if (isFilled(givenVersion) && givenVersion !== expected) {
    throw badRequest(`the API version in the data (${givenVersion}) does not match the expected API version (${expected})`);
  }
  if (!custom && isFilled(givenKind) && givenKind !== kind) {
    throw badRequest(`${givenKind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: it is of another kind`);
  }
}

export function metadataOf(object: JsonObject): JsonObject {
  const metadata = objectAt(object, 'metadata');
  if (metadata === undefined) throw new TypeError('the object has no metadata');
  return metadata;
}

/** A text field of the metadata; the empty text is the same as none. */
export function metaText(object: JsonObject, field: string): string | undefined {
  const value = metadataOf(object)[field];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Most unknown and duplicate fields that one answer names. */
const mostComplaints = 100;

/** Drops fields that the schema does not know, and refuses, warns of or ignores them as the request wishes. */
export function dropUnknownFields(definition: ResourceDefinition, object: JsonObject, options: WriteOptions, patch?: JsonObject): void {
  const unknown = definition.schema.prune(object);
  if (options.fieldValidation === 'Ignore') return;
  const complaints = [
    ...(options.duplicateFields ?? []).map((path) => `duplicate field ${JSON.stringify(path)}`),
    ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
  ].slice(0, mostComplaints);
  if (complaints.length === 0) return;
  if (options.fieldValidation === 'Strict') throw strictRefusal(definition, complaints.join(', '), patch);
  for (const complaint of complaints) if (!options.warnings.includes(complaint)) options.warnings.push(complaint);
}

function strictRefusal(definition: ResourceDefinition, complaints: string, patched: JsonObject | undefined): StatusError {
  const { kind, version } = definition;
  if (patched === undefined) {
    return badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: strict decoding error: ${complaints}`);
  }
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(patched))}: strict decoding error: ${complaints}`;
  return new StatusError({
    message: ` "" is invalid: patch: ${message}`,
    reason: 'Invalid',
    details: { causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }] },
    code: 422,
  });
}

function unrecognized(definition: ResourceDefinition, body: unknown, why: string): StatusError {
  const text = JSON.stringify(body);
  const start = text.length > quotedLength ? `${text.slice(0, quotedLength)} ...` : text;
  const type = definition.custom ? `must be of type ${definition.kind}` : `must be a ${definition.kind}`;
  return badRequest(`the object provided is unrecognized (${type}): ${why} (${start})`);
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

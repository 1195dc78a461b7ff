/** Rules of secrets and config maps, after Kubernetes' `pkg/apis/core/validation` and `pkg/registry/core/secret`. */
import { isObject, equalJson, objectAt, type JsonObject } from '../admission/json-value.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import { badRequest, type FieldError } from './status-error.ts';

/** Most bytes of all values together. */
const maxDataBytes = 1024 * 1024;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const keyForm = /^[-._a-zA-Z0-9]+$/;

const builtinDefaults = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
} as const;

export const secretStrategy: ResourceStrategy = {
  ...builtinDefaults,
  decode(secret) {
    dropNulls(secret, ['data', 'stringData', 'immutable']);
    requireBase64(secret, 'data', 'Secret');
    foldStringData(secret);
    if (secret['type'] === undefined || secret['type'] === '') secret['type'] = 'Opaque';
  },
  validate(secret, old) {
    const data = objectAt(secret, 'data') ?? {};
    const errors = [...keyErrors('data', data), ...sizeErrors(sizeOfBase64(data)), ...requiredKeyErrors(secret['type'], data)];
    if (old === undefined) return errors;
    if (secret['type'] !== (old['type'] ?? 'Opaque')) errors.push(unchangeable('type', secret['type']));
    return [...errors, ...immutableErrors(secret, old, ['data'])];
  },
};

export const configMapStrategy: ResourceStrategy = {
  ...builtinDefaults,
  decode(configMap) {
    dropNulls(configMap, ['data', 'binaryData', 'immutable']);
    requireBase64(configMap, 'binaryData', 'ConfigMap');
  },
  validate(configMap, old) {
    const data = objectAt(configMap, 'data') ?? {};
    const binaryData = objectAt(configMap, 'binaryData') ?? {};
    const twice = Object.keys(data).filter((key) => Object.hasOwn(binaryData, key));
    const textBytes = Object.values(data).reduce<number>((sum, value) => sum + Buffer.byteLength(String(value)), 0);
    return [
      ...keyErrors('data', data),
      ...keyErrors('binaryData', binaryData),
      ...twice.map((key) => fieldInvalid(`data[${key}]`, key, 'duplicate of key present in binaryData')),
      ...sizeErrors(textBytes + sizeOfBase64(binaryData), ''),
      ...(old === undefined ? [] : immutableErrors(configMap, old, ['data', 'binaryData'])),
    ];
  },
};

/** Go's clients write absent maps as null. */
function dropNulls(object: JsonObject, fields: readonly string[]): void {
  for (const field of fields) if (object[field] === null) Reflect.deleteProperty(object, field);
}

function requireBase64(object: JsonObject, field: string, kind: string): void {
  const values = objectAt(object, field) ?? {};
  for (const [key, value] of Object.entries(values)) {
    if (value === null) values[key] = '';
    else if (typeof value === 'string' && !base64.test(value)) {
      throw badRequest(`${kind} in version "v1" cannot be handled as a ${kind}: illegal base64 data in ${field}[${key}]`);
    }
  }
}

/** `stringData` is a convenience for writing: it goes into `data` and is not kept. */
function foldStringData(secret: JsonObject): void {
  const { stringData } = secret;
  if (!isObject(stringData)) return;
  const data = objectAt(secret, 'data') ?? {};
  for (const [key, value] of Object.entries(stringData)) {
    if (typeof value !== 'string')
      throw badRequest(`Secret in version "v1" cannot be handled as a Secret: stringData[${key}] is no string`);
    data[key] = Buffer.from(value).toString('base64');
  }
  if (Object.keys(data).length > 0) secret['data'] = data;
  delete secret['stringData'];
}

function keyErrors(field: string, data: JsonObject): FieldError[] {
  return Object.keys(data).flatMap((key) => {
    if (key.length > 253) return [fieldInvalid(`${field}[${key}]`, key, 'must be no more than 253 characters')];
    if (key === '.' || key === '..') return [fieldInvalid(`${field}[${key}]`, key, `must not be '${key}'`)];
    if (key.startsWith('..')) return [fieldInvalid(`${field}[${key}]`, key, "must not start with '..'")];
    if (keyForm.test(key)) return [];
    const rule =
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    return [fieldInvalid(`${field}[${key}]`, key, rule)];
  });
}

function sizeOfBase64(data: JsonObject): number {
  return Object.values(data).reduce<number>((sum, value) => sum + Buffer.byteLength(String(value), 'base64'), 0);
}

function sizeErrors(bytes: number, field = 'data'): FieldError[] {
  if (bytes <= maxDataBytes) return [];
  return [{ reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${maxDataBytes} bytes` }];
}

/** What programs rely on in secrets of well-known types. */
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
};

function requiredKeyErrors(type: unknown, data: JsonObject): FieldError[] {
  const keys = typeof type === 'string' && Object.hasOwn(requiredKeys, type) ? (requiredKeys[type] ?? []) : [];
  return keys
    .filter((key) => !Object.hasOwn(data, key))
    .map((key) => ({ reason: 'FieldValueRequired', field: `data[${key}]`, message: 'Required value' }));
}

function immutableErrors(object: JsonObject, old: JsonObject, fields: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return [];
  const fixed = (field: string): FieldError => ({
    reason: 'FieldValueForbidden',
    field,
    message: 'Forbidden: field is immutable when `immutable` is set',
  });
  const changed = fields.filter((field) => !equalJson(object[field] ?? {}, old[field] ?? {}));
  return [...(object['immutable'] === true ? [] : ['immutable']), ...changed].map(fixed);
}

function unchangeable(field: string, value: unknown): FieldError {
  return fieldInvalid(field, value, 'field is immutable');
}

function fieldInvalid(field: string, value: unknown, why: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` };
}

/** Lists that are sets or maps: what is there twice. As k8s.io/apiextensions-apiserver `schema/listtype`. */
import type { FieldError } from '../registry/status-error.ts';
import { duplicateValue, formatPath } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';
import { canonicalJson, isObject, ownValue } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';

/** Adds a duplicate-value error for each item that repeats an earlier one. */
export type DuplicateCheck = (value: unknown, path: PathSegment[], errors: FieldError[]) => void;

/** The keys of an item of a list of type map, as an object in the order in which the schema names them. */
function keysOf(schema: JsonSchema, item: unknown): Record<string, unknown> {
  const keys: Record<string, unknown> = {};
  if (!isObject(item)) return keys;
  for (const name of schema['x-kubernetes-list-map-keys'] ?? []) {
    const value = ownValue(item, name) ?? schema.items?.properties?.[name]?.default;
    if (value !== undefined) keys[name] = value;
  }
  return keys;
}

/** A text that tells an item of a list of type map from the others. */
export function listKeyOf(schema: JsonSchema, item: unknown): string {
  return canonicalJson(keysOf(schema, item));
}

function compileOwn(schema: JsonSchema): DuplicateCheck | undefined {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return undefined;
  const identity = (item: unknown): unknown => (listType === 'map' ? keysOf(schema, item) : item);
  return (value, path, errors) => {
    const seen = new Set<string>();
    for (const [index, item] of (value as readonly unknown[]).entries()) {
      const key = canonicalJson(identity(item));
      if (seen.has(key)) errors.push(duplicateValue(formatPath([...path, index]), identity(item)));
      seen.add(key);
    }
  };
}

function compileArray(schema: JsonSchema): DuplicateCheck | undefined {
  const own = compileOwn(schema);
  const items = schema.items === undefined ? undefined : compileDuplicateCheck(schema.items);
  if (own === undefined && items === undefined) return undefined;
  return (value, path, errors) => {
    if (!Array.isArray(value)) return;
    own?.(value, path, errors);
    if (items === undefined) return;
    for (let index = 0; index < value.length; index += 1) {
      path.push(index);
      items(value[index], path, errors);
      path.pop();
    }
  };
}

function compileObject(schema: JsonSchema): DuplicateCheck | undefined {
  const members = new Map<string, DuplicateCheck>();
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const check = compileDuplicateCheck(property);
    if (check !== undefined) members.set(key, check);
  }
  const { additionalProperties } = schema;
  const additional = typeof additionalProperties === 'object' ? compileDuplicateCheck(additionalProperties) : undefined;
  if (members.size === 0 && additional === undefined) return undefined;
  return (value, path, errors) => {
    if (!isObject(value)) return;
    for (const key of additional === undefined ? members.keys() : Object.keys(value)) {
      if (!Object.hasOwn(value, key)) continue;
      path.push(key);
      (members.get(key) ?? additional)?.(value[key], path, errors);
      path.pop();
    }
  };
}

/** Compiles the check of one schema; undefined where no list is a set or a map. */
export function compileDuplicateCheck(schema: JsonSchema): DuplicateCheck | undefined {
  const array = compileArray(schema);
  const object = compileObject(schema);
  if (array === undefined || object === undefined) return array ?? object;
  return (value, path, errors) => {
    array(value, path, errors);
    object(value, path, errors);
  };
}

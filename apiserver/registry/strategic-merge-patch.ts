/**
 * Strategic merge patch, for built-in types: a merge patch that also merges lists, where the schema says by which key. Follows
 * k8s.io/apimachinery `pkg/util/strategicpatch`.
 */
import type { JsonSchema } from '../admission/structural-schema.ts';
import { equalJson, isObject, setKey, type JsonObject } from '../admission/json-value.ts';
import { badRequest } from './status-error.ts';

const directive = '$patch';
const retainKeys = '$retainKeys';
const deletePrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';

/** How lists in the metadata of every object merge. */
const metadataSchema: JsonSchema = {
  type: 'object',
  properties: {
    finalizers: { type: 'array', items: { type: 'string' }, 'x-kubernetes-patch-strategy': 'merge' },
    ownerReferences: {
      type: 'array',
      items: { type: 'object' },
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'uid',
    },
  },
};

/** `target` with `patch` applied; both are used up. Throws 400 for directives that make no sense. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject, schema: JsonSchema): JsonObject {
  const withMetadata = { ...schema, properties: { ...schema.properties, metadata: metadataSchema } };
  return mergeObject(target, patch, withMetadata);
}

function mergeObject(target: JsonObject, patch: JsonObject, schema: JsonSchema | undefined): JsonObject {
  switch (patch[directive]) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return dropDirectives(patch) as JsonObject;
    case 'delete':
      return {};
    default:
      throw badRequest(`unknown patch type found: ${JSON.stringify(patch[directive])}`);
  }
  keepOnly(target, patch);
  for (const [key, change] of Object.entries(patch)) {
    if (key === directive || key === retainKeys || key.startsWith(orderPrefix)) continue;
    if (key.startsWith(deletePrefix)) {
      removeValues(target, key.slice(deletePrefix.length), change);
      continue;
    }
    const next = mergeValue(target, key, change, { schema: schemaOfField(schema, key), order: orderOf(patch, key) });
    if (next === undefined) Reflect.deleteProperty(target, key);
    else setKey(target, key, next);
  }
  reorderUntouched(target, patch, schema);
  return target;
}

interface FieldRules {
  schema: JsonSchema | undefined;
  /** What `$setElementOrder` says of the list. */
  order: unknown[] | undefined;
}

/** Undefined: the field goes. */
function mergeValue(target: JsonObject, key: string, change: unknown, { schema, order }: FieldRules): unknown {
  if (change === null) return undefined;
  const present = Object.hasOwn(target, key) ? target[key] : undefined;
  const strategy = schema?.['x-kubernetes-patch-strategy'];
  if (isObject(change)) return isObject(present) && strategy !== 'replace' ? mergeObject(present, change, schema) : dropDirectives(change);
  if (!Array.isArray(change)) return change;
  if (strategy !== 'merge') return dropDirectives(change);
  const list = Array.isArray(present) ? (present as unknown[]) : [];
  const mergeKey = schema?.['x-kubernetes-patch-merge-key'];
  const merged =
    typeof mergeKey === 'string' ? mergeKeyed(list, change, mergeKey, schema?.items) : mergePrimitives(list, change as unknown[]);
  return order === undefined ? merged : reorder(merged, list, order, typeof mergeKey === 'string' ? mergeKey : undefined);
}

function schemaOfField(schema: JsonSchema | undefined, key: string): JsonSchema | undefined {
  const declared = schema?.properties;
  if (declared !== undefined && Object.hasOwn(declared, key)) return declared[key];
  const { additionalProperties } = schema ?? {};
  return isObject(additionalProperties) ? additionalProperties : undefined;
}

/** `$retainKeys`: of the target's fields only these stay, and the patch may set no others. */
function keepOnly(target: JsonObject, patch: JsonObject): void {
  const keys = patch[retainKeys];
  if (keys === undefined) return;
  if (!Array.isArray(keys)) throw badRequest('invalid patch format of retainKeys');
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && patch[key] !== null && !keys.includes(key)) throw badRequest('invalid patch format of retainKeys');
  }
  for (const key of Object.keys(target)) if (!keys.includes(key)) Reflect.deleteProperty(target, key);
}

function removeValues(target: JsonObject, field: string, values: unknown): void {
  if (!Array.isArray(values)) throw badRequest('invalid patch format of primitive list');
  const list = target[field];
  if (Array.isArray(list)) target[field] = list.filter((item: unknown) => !values.includes(item));
}

function mergePrimitives(list: readonly unknown[], change: readonly unknown[]): unknown[] {
  return [...new Set([...list, ...change])];
}

function mergeKeyed(list: readonly unknown[], change: readonly unknown[], mergeKey: string, itemSchema: JsonSchema | undefined): unknown[] {
  const items = change.map((item) => {
    if (!isObject(item)) throw badRequest('invalid patch: an element of a list of objects is no object');
    return item;
  });
  const ordinary = items.filter((item) => item[directive] === undefined || item[directive] === 'merge');
  if (items.some((item) => item[directive] === 'replace')) return ordinary.map(dropDirectives);
  let merged = [...list];
  for (const item of items) {
    if (item[directive] === undefined || item[directive] === 'merge') continue;
    if (item[directive] !== 'delete') throw badRequest(`unknown patch type found: ${JSON.stringify(item[directive])}`);
    const key = keyOfItem(item, mergeKey);
    merged = merged.filter((present) => !isObject(present) || !equalJson(present[mergeKey], key));
  }
  for (const item of ordinary) {
    const key = keyOfItem(item, mergeKey);
    const at = merged.findIndex((present) => isObject(present) && equalJson(present[mergeKey], key));
    const present = merged[at];
    if (isObject(present)) merged[at] = mergeObject(present, item, itemSchema);
    else merged.push(dropDirectives(item));
  }
  return merged;
}

function keyOfItem(item: JsonObject, mergeKey: string): unknown {
  if (item[mergeKey] === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
  return item[mergeKey];
}

function orderOf(patch: JsonObject, key: string): unknown[] | undefined {
  const order = patch[`${orderPrefix}${key}`];
  if (order === undefined) return undefined;
  if (!Array.isArray(order)) throw badRequest(`invalid patch format of setElementOrder for ${key}`);
  return order as unknown[];
}

/** An order also counts for a list that the patch does not change otherwise. */
function reorderUntouched(target: JsonObject, patch: JsonObject, schema: JsonSchema | undefined): void {
  for (const name of Object.keys(patch)) {
    if (!name.startsWith(orderPrefix)) continue;
    const key = name.slice(orderPrefix.length);
    const list = target[key];
    if (Object.hasOwn(patch, key) || !Array.isArray(list)) continue;
    const mergeKey = schemaOfField(schema, key)?.['x-kubernetes-patch-merge-key'];
    target[key] = reorder(list, list, orderOf(patch, key) ?? [], typeof mergeKey === 'string' ? mergeKey : undefined);
  }
}

/** The items that `order` names, in this order; the others keep their places relative to them as the server had it. */
function reorder(
  merged: readonly unknown[],
  server: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const keyed = (item: unknown): unknown => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const indexIn = (list: readonly unknown[], item: unknown): number => list.findIndex((other) => equalJson(keyed(other), keyed(item)));
  const named = merged.filter((item) => indexIn(order, item) !== -1).sort((a, b) => indexIn(order, a) - indexIn(order, b));
  const others = merged.filter((item) => indexIn(order, item) === -1);
  const result: unknown[] = [];
  while (named.length > 0 && others.length > 0) {
    const other = indexIn(server, others[0]);
    const next = indexIn(server, named[0]);
    const source = other !== -1 && next !== -1 && other < next ? others : named;
    result.push(source.shift());
  }
  return [...result, ...named, ...others];
}

/** What a patch adds where nothing was: without its nulls and directives. */
function dropDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return (value as unknown[])
      .filter((item) => !isObject(item) || (item[directive] !== 'delete' && item[directive] !== 'replace'))
      .map(dropDirectives);
  }
  if (!isObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === null || key === directive || key === retainKeys || key.startsWith(orderPrefix) || key.startsWith(deletePrefix)) continue;
    setKey(kept, key, dropDirectives(item));
  }
  return kept;
}

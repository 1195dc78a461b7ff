/** Drops what a schema does not know, as k8s.io/apiextensions-apiserver `schema/pruning` does, and says what it dropped. */
import { formatPath } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';
import { isObject } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';

/** Prunes in place; `path` is where the value stands, `unknown` gets the paths of what was dropped. */
export type Pruner = (value: unknown, path: PathSegment[], unknown: string[]) => void;

/** Fields of `meta/v1.ObjectMeta`; everything else in `metadata` is dropped. */
const objectMetaFields = new Set([
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]);

const resourceRootFields = new Set(['apiVersion', 'kind', 'metadata']);

function drop(object: Record<string, unknown>, key: string, path: readonly PathSegment[], unknown: string[]): void {
  Reflect.deleteProperty(object, key);
  unknown.push(formatPath([...path, key]));
}

function pruneMetadata(object: Record<string, unknown>, path: PathSegment[], unknown: string[]): void {
  const metadata = Object.hasOwn(object, 'metadata') ? object['metadata'] : undefined;
  if (!isObject(metadata)) return;
  path.push('metadata');
  for (const key of Object.keys(metadata)) {
    if (!objectMetaFields.has(key)) drop(metadata, key, path, unknown);
  }
  path.pop();
}

interface ObjectRules {
  /** The root of a resource: apiVersion, kind and metadata are known. */
  resource: boolean;
  preserve: boolean;
  properties: ReadonlyMap<string, Pruner>;
  /** Undefined where no other keys are known. */
  additional: Pruner | undefined;
}

function pruneObject(object: Record<string, unknown>, rules: ObjectRules, path: PathSegment[], unknown: string[]): void {
  if (rules.resource) pruneMetadata(object, path, unknown);
  for (const key of Object.keys(object)) {
    if (rules.resource && resourceRootFields.has(key)) continue;
    const prune = rules.properties.get(key) ?? rules.additional;
    if (prune !== undefined) {
      path.push(key);
      prune(object[key], path, unknown);
      path.pop();
    } else if (!rules.preserve) {
      drop(object, key, path, unknown);
    }
  }
}

function keepAll(): void {
  // Beneath `additionalProperties: true` nothing is known, and nothing dropped.
}

/** Compiles the pruner of one schema; `resource` marks the root of a resource. */
export function compilePruner(schema: JsonSchema, resource: boolean): Pruner {
  const items = schema.items === undefined ? undefined : compilePruner(schema.items, false);
  const { additionalProperties } = schema;
  let additional: Pruner | undefined;
  if (additionalProperties === true) additional = keepAll;
  else if (typeof additionalProperties === 'object') additional = compilePruner(additionalProperties, false);
  const rules: ObjectRules = {
    resource: resource || schema['x-kubernetes-embedded-resource'] === true,
    preserve: schema['x-kubernetes-preserve-unknown-fields'] === true,
    properties: new Map(Object.entries(schema.properties ?? {}).map(([key, property]) => [key, compilePruner(property, false)])),
    additional,
  };
  return (value, path, unknown) => {
    if (Array.isArray(value)) {
      if (items === undefined) return;
      for (let index = 0; index < value.length; index += 1) {
        path.push(index);
        items(value[index], path, unknown);
        path.pop();
      }
    } else if (isObject(value)) {
      pruneObject(value, rules, path, unknown);
    }
  };
}

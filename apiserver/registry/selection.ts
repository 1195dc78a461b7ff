/** Which objects a list or a watch is about: a namespace, a label selector and a field selector. */
import type { KubernetesObject } from '../../api/object.ts';
import {
  matchesFieldSelector,
  matchesRequirements,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  type FieldRequirement,
} from '../../api/selector.ts';
import { valueAt } from '../admission/json-value.ts';
import type { ResourceDefinition, Selection } from './resource.ts';
import { badRequest } from './status-error.ts';
import { namespacePrefix } from './storage-keys.ts';

export interface ParsedSelection {
  /** Of keys in the store. */
  keyPrefix: string;
  /** Absent when every object under the prefix is meant. */
  matches: ((object: KubernetesObject) => boolean) | undefined;
}

/** Throws 400 for selectors that cannot be understood, or that name a field which is not selectable. */
export function parseSelection(definition: ResourceDefinition, resourcePrefix: string, selection: Selection): ParsedSelection {
  const labels = readSelector(() => parseLabelSelector(selection.labelSelector ?? ''));
  const fields = readSelector(() => parseFieldSelector(selection.fieldSelector ?? ''));
  for (const { field } of fields) {
    const known = field === 'metadata.name' || field === 'metadata.namespace' || definition.selectableFields.has(field);
    if (!known) throw badRequest(`field label not supported: ${field}`);
  }
  const keyPrefix = namespacePrefix(resourcePrefix, definition.namespaced ? selection.namespace : undefined);
  if (labels.length === 0 && fields.length === 0) return { keyPrefix, matches: undefined };
  return {
    keyPrefix,
    matches: (object) =>
      (labels.length === 0 || matchesRequirements(labels, object.metadata.labels)) &&
      (fields.length === 0 || matchesFields(definition, fields, object)),
  };
}

function matchesFields(definition: ResourceDefinition, fields: readonly FieldRequirement[], object: KubernetesObject): boolean {
  return matchesFieldSelector(fields, (field) => {
    if (field === 'metadata.name') return object.metadata.name ?? '';
    if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
    return fieldText(valueAt(object, definition.selectableFields.get(field) ?? []));
  });
}

function fieldText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function readSelector<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

/**
 * Where objects lie in the store, laid out as Kubernetes does: `/registry/<resource>/…` for its own types, `/registry/<group>/<resource>/…`
 * for custom ones, whose group always has a dot; then the namespace, if there is one, and the name.
 */
import type { ObjectKey } from '../../api/object.ts';

export const registryRoot = '/registry/';

/** The prefix of a resource's keys, with a slash at its end. */
export function resourcePrefix(group: string, resource: string): string {
  return group.includes('.') ? `${registryRoot}${group}/${resource}/` : `${registryRoot}${resource}/`;
}

/** What {@link resourcePrefix} gave when the key was made; undefined for a key that names no object. */
export function resourcePrefixOf(key: string): string | undefined {
  if (!key.startsWith(registryRoot)) return undefined;
  const first = key.indexOf('/', registryRoot.length);
  if (first === -1) return undefined;
  const hasGroup = key.slice(registryRoot.length, first).includes('.');
  if (!hasGroup) return key.slice(0, first + 1);
  const second = key.indexOf('/', first + 1);
  return second === -1 ? undefined : key.slice(0, second + 1);
}

export function objectKey(prefix: string, key: ObjectKey): string {
  return key.namespace === undefined ? `${prefix}${key.name}` : `${prefix}${key.namespace}/${key.name}`;
}

/** The prefix of all objects of a namespace; of the whole resource without one. */
export function namespacePrefix(prefix: string, namespace: string | undefined): string {
  return namespace === undefined ? prefix : `${prefix}${namespace}/`;
}

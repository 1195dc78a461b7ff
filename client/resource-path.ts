import type { KubernetesObject, ObjectKey } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';

/** `/apis/GROUP/VERSION[/namespaces/NS]/PLURAL`, or `/api/v1…` for the core group. Without a namespace: all of them. */
export function collectionPath<T extends KubernetesObject>(type: ResourceType<T>, namespace?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${within}/${type.plural}`;
}

export function objectPath<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, subresource?: string): string {
  if (type.namespaced && key.namespace === undefined) throw new TypeError(`${type.kind} ${key.name}: the namespace is missing`);
  if (key.name === '') throw new TypeError(`${type.kind}: the name is empty`);
  const path = `${collectionPath(type, type.namespaced ? key.namespace : undefined)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `?a=1&b=2` of those that are given; empty when none is. */
export function queryString(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) query.append(name, String(value));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/**
 * Where objects stand in etcd, as kube-apiserver lays them out, so that an operator's tools for a Kubernetes etcd read ours:
 *
 *     /registry/<resource>[/<namespace>]/<name>           built-in types (their group is not in the key)
 *     /registry/<group>/<resource>[/<namespace>]/<name>   custom resources and CustomResourceDefinitions themselves
 *
 * Every prefix ends with `/`, so that `team-a` never matches `team-ab`.
 */

/** What a key needs to know of a resource; a `ResourceDefinition` fits. */
export interface StoredResource {
  /** Empty for the core group. */
  group: string;
  /** Plural name, as in URLs. */
  resource: string;
  namespaced: boolean;
  /** True for what a CustomResourceDefinition declared. */
  custom: boolean;
}

const root = '/registry';

/** Groups whose built-in types carry the group in their keys all the same: their servers were once separate from kube-apiserver. */
const groupsInKeys = new Set(['apiextensions.k8s.io', 'apiregistration.k8s.io']);

/** The prefix of all objects of a resource, or of those in one namespace. */
export function keyPrefix(resource: StoredResource, namespace = ''): string {
  const ofGroup = resource.custom || groupsInKeys.has(resource.group) ? `${root}/${segment(resource.group)}` : root;
  const ofResource = `${ofGroup}/${segment(resource.resource)}/`;
  if (namespace === '') return ofResource;
  if (!resource.namespaced) throw new RangeError(`${resource.resource} have no namespaces`);
  return `${ofResource}${segment(namespace)}/`;
}

/** The key of one object. Throws a RangeError where a namespace is missing or superfluous, and for a name that is no key segment. */
export function objectKey(resource: StoredResource, { namespace = '', name }: { namespace?: string | undefined; name: string }): string {
  if (resource.namespaced && namespace === '') throw new RangeError(`${resource.resource} have a namespace each`);
  return keyPrefix(resource, namespace) + segment(name);
}

/** Names are checked before they come here; a slash that slipped through would reach another object. */
function segment(text: string): string {
  if (text === '' || text === '.' || text === '..' || text.includes('/'))
    throw new RangeError(`${JSON.stringify(text)} cannot be part of a key`);
  return text;
}

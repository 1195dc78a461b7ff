/** What the server serves, in the forms in which clients ask: the legacy lists and the aggregated one. Pure. */
import { apiVersionOf } from '../../api/resource-type.ts';
import type { ResourceDefinition } from '../registry/resource.ts';

export interface GroupVersion {
  group: string;
  version: string;
}

/** Group versions in the order of the definitions, each once. */
export function groupVersionsOf(definitions: readonly ResourceDefinition[]): GroupVersion[] {
  const found = new Map<string, GroupVersion>();
  for (const { group, version } of definitions) found.set(apiVersionOf({ group, version }), { group, version });
  return [...found.values()];
}

/** `GET /api` */
export function apiVersions(serverAddress: string): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }] };
}

/** `GET /apis` */
export function apiGroupList(definitions: readonly ResourceDefinition[]): object {
  const groups = namedGroups(definitions).map((group) => groupBody(group, definitions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `GET /apis/GROUP`; undefined when nothing is in it. */
export function apiGroup(group: string, definitions: readonly ResourceDefinition[]): object | undefined {
  if (group === '' || !definitions.some((definition) => definition.group === group)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupBody(group, definitions) };
}

function namedGroups(definitions: readonly ResourceDefinition[]): string[] {
  return [...new Set(definitions.map((definition) => definition.group))].filter((group) => group !== '');
}

function groupBody(group: string, definitions: readonly ResourceDefinition[]): object {
  const versions = groupVersionsOf(definitions)
    .filter((each) => each.group === group)
    .map((each) => ({ groupVersion: apiVersionOf(each), version: each.version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** `GET /api/v1` and `GET /apis/GROUP/VERSION`; undefined when nothing is in it. */
export function apiResourceList(groupVersion: GroupVersion, definitions: readonly ResourceDefinition[]): object | undefined {
  const inside = definitions.filter((each) => each.group === groupVersion.group && each.version === groupVersion.version);
  if (inside.length === 0) return undefined;
  const resources = inside.flatMap((definition) => [resourceBody(definition), ...subresourceBodies(definition)]);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(groupVersion), resources };
}

function resourceBody(definition: ResourceDefinition): object {
  const { resource, singular, namespaced, kind, verbs, storageVersionHash } = definition;
  return { name: resource, singularName: singular, namespaced, kind, verbs, ...namesOf(definition), storageVersionHash };
}

function namesOf({ shortNames, categories }: ResourceDefinition): object {
  return { ...(shortNames.length === 0 ? {} : { shortNames }), ...(categories.length === 0 ? {} : { categories }) };
}

function subresourceBodies(definition: ResourceDefinition): object[] {
  return definition.subresources.map(({ name, verbs, type }) => ({
    name: `${definition.resource}/${name}`,
    singularName: '',
    namespaced: definition.namespaced,
    ...(type === undefined ? {} : { group: type.group, version: type.version }),
    kind: (type ?? definition).kind,
    verbs,
  }));
}

/** `apidiscovery.k8s.io` APIGroupDiscoveryList: of the core group for `/api`, of the named groups for `/apis`. */
export function aggregatedDiscovery(version: 'v2' | 'v2beta1', prefix: 'api' | 'apis', definitions: readonly ResourceDefinition[]): object {
  const groups = prefix === 'api' ? [''] : namedGroups(definitions);
  const items = groups.map((group) => ({
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: groupVersionsOf(definitions)
      .filter((each) => each.group === group)
      .map((each) => ({ version: each.version, resources: discoveredResources(each, definitions), freshness: 'Current' })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
}

function discoveredResources({ group, version }: GroupVersion, definitions: readonly ResourceDefinition[]): object[] {
  return definitions
    .filter((each) => each.group === group && each.version === version)
    .map((definition) => ({
      resource: definition.resource,
      responseKind: { group, version, kind: definition.kind },
      scope: definition.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: definition.singular,
      verbs: definition.verbs,
      ...namesOf(definition),
      ...(definition.subresources.length === 0 ? {} : { subresources: discoveredSubresources(definition) }),
    }));
}

function discoveredSubresources({ group, version, kind, subresources }: ResourceDefinition): object[] {
  return subresources.map(({ name, verbs, type }) => ({ subresource: name, responseKind: type ?? { group, version, kind }, verbs }));
}

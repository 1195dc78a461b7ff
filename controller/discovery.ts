/** Which resources the server has, for the duties that must look at all of them. */
import type { KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';

export interface DiscoveredType extends ResourceType<KubernetesObject> {
  verbs: readonly string[];
}

export interface Discovery {
  types: readonly DiscoveredType[];
  /** Group versions that could not be asked, with the reason; what is in them is not known. */
  failures: readonly { groupVersion: string; message: string }[];
}

interface ResourceList {
  resources?: { name: string; kind: string; namespaced: boolean; verbs?: string[] }[];
}
interface GroupList {
  groups?: { name: string; preferredVersion?: { version: string }; versions: { version: string }[] }[];
}

/** Each resource once, in its group's preferred version. Rejects when not even the groups can be read. */
export async function discover(client: Pick<Client, 'request'>, signal?: AbortSignal): Promise<Discovery> {
  const options = signal === undefined ? {} : { signal };
  const { groups = [] } = (await client.request('GET', '/apis', undefined, options)) as GroupList;
  const versions = groups.map(({ name, preferredVersion, versions: all }) => ({
    group: name,
    version: preferredVersion?.version ?? all[0]?.version ?? '',
  }));
  const types: DiscoveredType[] = [];
  const failures: { groupVersion: string; message: string }[] = [];
  for (const { group, version } of [{ group: '', version: 'v1' }, ...versions]) {
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    try {
      const { resources = [] } = (await client.request('GET', path, undefined, options)) as ResourceList;
      for (const { name, kind, namespaced, verbs = [] } of resources) {
        if (!name.includes('/')) types.push({ group, version, plural: name, kind, namespaced, verbs });
      }
    } catch (error) {
      failures.push({
        groupVersion: group === '' ? version : `${group}/${version}`,
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return { types, failures };
}

/** `plural.group`, or the plural alone. */
export function typeName({ group, plural }: { group: string; plural: string }): string {
  return group === '' ? plural : `${plural}.${group}`;
}

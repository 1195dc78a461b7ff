/** Keeps the index of roles and bindings as the store has them, from the watch caches. */
import type { KubernetesObject } from '../../../api/object.ts';
import { clusterRoleBindingsPrefix, clusterRolesPrefix, roleBindingsPrefix, rolesPrefix } from '../../registry/rbac-types.ts';
import type { WatchCache } from '../../registry/watch-cache.ts';
import type { BindingObject, RoleObject } from './policy.ts';
import type { PolicyIndex } from './policy-index.ts';

type Take = (namespace: string | undefined, name: string, object: KubernetesObject | undefined) => void;

/** Fills `index` from caches that are filled themselves, and from then on with every change. It ends with the caches. */
export function followPolicy(index: PolicyIndex, cacheOf: (prefix: string) => WatchCache): void {
  const setRole: Take = (namespace, name, role) => {
    index.setRole(namespace, name, role);
  };
  const setBinding: Take = (namespace, name, binding) => {
    index.setBinding(namespace, name, binding as BindingObject | undefined);
  };
  followCache(cacheOf(rolesPrefix), setRole);
  followCache(cacheOf(clusterRolesPrefix), setRole);
  followCache(cacheOf(roleBindingsPrefix), setBinding);
  followCache(cacheOf(clusterRoleBindingsPrefix), setBinding);
}

function followCache(cache: WatchCache, take: Take): void {
  const put = (key: string, object: KubernetesObject | undefined): void => {
    const rest = key.slice(cache.prefix.length);
    const slash = rest.indexOf('/');
    take(slash === -1 ? undefined : rest.slice(0, slash), rest.slice(slash + 1), object);
  };
  for (const entry of cache.list(cache.prefix)) put(entry.key, entry.object);
  cache.follow({
    onChange: ({ key, current }) => {
      put(key, current?.object);
    },
    onEnd: () => undefined,
  });
}

/** A role as the caches know it, also one that this server wrote a moment ago. */
export function latestRole(
  cacheOf: (prefix: string) => WatchCache | undefined,
  namespace: string | undefined,
  name: string,
): RoleObject | undefined {
  const key = namespace === undefined ? `${clusterRolesPrefix}${name}` : `${rolesPrefix}${namespace}/${name}`;
  return cacheOf(namespace === undefined ? clusterRolesPrefix : rolesPrefix)?.latest(key)?.object;
}

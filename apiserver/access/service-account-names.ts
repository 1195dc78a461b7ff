/** How a ServiceAccount is called as a user, and the groups that it is in (k8s.io/apiserver `pkg/authentication/serviceaccount`). Pure. */

const userPrefix = 'system:serviceaccount:';
const group = 'system:serviceaccounts';

export function serviceAccountUser(namespace: string, name: string): string {
  return `${userPrefix}${namespace}:${name}`;
}

export function serviceAccountGroups(namespace: string): string[] {
  return [group, `${group}:${namespace}`];
}

/** Undefined for a user that is no ServiceAccount. */
export function parseServiceAccountUser(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(userPrefix)) return undefined;
  const [namespace = '', name = '', ...more] = user.slice(userPrefix.length).split(':');
  return namespace === '' || name === '' || more.length > 0 ? undefined : { namespace, name };
}

/** Requests in somebody else's name, by the headers `Impersonate-…` (k8s.io/apiserver `pkg/endpoints/filters/impersonation.go`). Pure. */
import type { UserInfo } from '../registry/resource.ts';
import { badRequest } from '../registry/status-error.ts';
import type { ResourceAttributes } from './authorize.ts';
import { parseServiceAccountUser, serviceAccountGroups } from './service-account-names.ts';

/** Header names in lower case, each with all of its values. */
export type HeaderValues = Readonly<Record<string, readonly string[] | undefined>>;

interface Wish {
  user: string;
  uid: string;
  groups: readonly string[];
  extra: ReadonlyMap<string, readonly string[]>;
}

const extraPrefix = 'impersonate-extra-';
const identityGroup = 'authentication.k8s.io';
const anonymous = 'system:anonymous';
const authenticated = 'system:authenticated';
const unauthenticated = 'system:unauthenticated';

export interface Impersonation {
  /** What the one who asks must be allowed, each of it. */
  needs: readonly ResourceAttributes[];
  user: UserInfo;
}

/** Undefined when the request is in nobody else's name. Throws 400 for headers that do not say whose. */
export function readImpersonation(headers: HeaderValues): Impersonation | undefined {
  const wish = readWish(headers);
  if (wish === undefined) return undefined;
  return { needs: needsOf(wish), user: userOf(wish) };
}

function readWish(headers: HeaderValues): Wish | undefined {
  const [user = ''] = headers['impersonate-user'] ?? [];
  const [uid = ''] = headers['impersonate-uid'] ?? [];
  const groups = headers['impersonate-group'] ?? [];
  const extra = new Map<string, readonly string[]>();
  for (const [name, values = []] of Object.entries(headers)) {
    if (name.startsWith(extraPrefix)) extra.set(decodeKey(name.slice(extraPrefix.length)), values);
  }
  if (user !== '') return { user, uid, groups, extra };
  if (uid === '' && groups.length === 0 && extra.size === 0) return undefined;
  throw badRequest('impersonation without a user: Impersonate-User is missing');
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function needsOf({ user, uid, groups, extra }: Wish): ResourceAttributes[] {
  const impersonate = { kind: 'resource', verb: 'impersonate' } as const;
  const account = parseServiceAccountUser(user);
  const who: ResourceAttributes =
    account === undefined
      ? { ...impersonate, group: '', resource: 'users', name: user }
      : { ...impersonate, group: '', resource: 'serviceaccounts', ...account };
  return [
    who,
    ...groups.map((name) => ({ ...impersonate, group: '', resource: 'groups', name })),
    ...[...extra].flatMap(([subresource, values]) =>
      values.map((name) => ({ ...impersonate, group: identityGroup, resource: 'userextras', subresource, name })),
    ),
    ...(uid === '' ? [] : [{ ...impersonate, group: identityGroup, resource: 'uids', name: uid }]),
  ];
}

function userOf({ user, uid, groups, extra }: Wish): UserInfo {
  const account = parseServiceAccountUser(user);
  const given = groups.length === 0 && account !== undefined ? serviceAccountGroups(account.namespace) : groups;
  const everyone = user === anonymous ? unauthenticated : authenticated;
  const isSaid = given.includes(authenticated) || given.includes(unauthenticated);
  return {
    name: user,
    ...(uid === '' ? {} : { uid }),
    groups: isSaid ? [...given] : [...given, everyone],
    ...(extra.size === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

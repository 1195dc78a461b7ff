/** What a member is given: the objects that are to be there, as they are to be. All of them are the Member's by owner reference. Pure. */
import type { Member } from '../../api/generated/member.ts';
import { memberLabel, memberNamespace } from '../../api/names.ts';
import type { ObjectMeta } from '../../api/object.ts';
import { formatQuantity, parseQuantity } from '../../api/quantity.ts';
import {
  apiVersionOf,
  clusterRoleBindings,
  members,
  namespaces,
  resourceQuotas,
  roleBindings,
  serviceAccounts,
} from '../../api/resource-type.ts';
import type { Namespace, ResourceQuota, RoleBinding, ServiceAccount } from '../../api/resource-type.ts';

export type Permission = NonNullable<Member['spec']['permissions']>[number];

/** In the member's namespace. */
export const memberBindingName = 'potluck:member';
export const memberQuotaName = 'potluck';

/** Permissions that are given for the whole pool, with the ClusterRole that each is. */
export const poolRoles = { Lend: 'potluck:lender', Admin: 'cluster-admin' } as const;
export type PoolPermission = keyof typeof poolRoles;

const bindingPrefix = 'potluck:member:';

export function poolBindingName(member: string, permission: PoolPermission): string {
  return `${bindingPrefix}${member}:${permission.toLowerCase()}`;
}

/** Whose binding a {@link poolBindingName} is; undefined for any other name. */
export function memberOfPoolBinding(name: string): string | undefined {
  return name.startsWith(bindingPrefix) ? name.slice(bindingPrefix.length).split(':')[0] : undefined;
}

export function permissionsOf({ spec }: Member): readonly Permission[] {
  return spec.permissions ?? ['Use', 'Lend'];
}

export function namespaceFor(member: Member): Namespace {
  return { apiVersion: apiVersionOf(namespaces), kind: namespaces.kind, metadata: owned(member, { name: nameOf(member) }) };
}

export function serviceAccountFor(member: Member): ServiceAccount {
  const metadata = owned(member, { name: nameOf(member), namespace: memberNamespace });
  return { apiVersion: apiVersionOf(serviceAccounts), kind: serviceAccounts.kind, metadata };
}

export function roleBindingFor(member: Member): RoleBinding {
  return {
    apiVersion: apiVersionOf(roleBindings),
    kind: roleBindings.kind,
    metadata: owned(member, { name: memberBindingName, namespace: nameOf(member) }),
    roleRef: clusterRole(permissionsOf(member).includes('Use') ? 'edit' : 'view'),
    subjects: [subjectFor(member)],
  };
}

/** Undefined where nothing is bounded. */
export function quotaFor(member: Member): ResourceQuota | undefined {
  const bounds = Object.entries(member.spec.quota ?? {});
  if (bounds.length === 0) return undefined;
  return {
    apiVersion: apiVersionOf(resourceQuotas),
    kind: resourceQuotas.kind,
    metadata: owned(member, { name: memberQuotaName, namespace: nameOf(member) }),
    // As the API writes them, so that they can be compared.
    spec: { hard: Object.fromEntries(bounds.map(([name, amount]) => [name, formatQuantity(parseQuantity(amount))])) },
  };
}

/** Undefined where the member may not. */
export function poolBindingFor(member: Member, permission: PoolPermission): RoleBinding | undefined {
  if (!permissionsOf(member).includes(permission)) return undefined;
  return {
    apiVersion: apiVersionOf(clusterRoleBindings),
    kind: clusterRoleBindings.kind,
    metadata: owned(member, { name: poolBindingName(nameOf(member), permission) }),
    roleRef: clusterRole(poolRoles[permission]),
    subjects: [subjectFor(member)],
  };
}

export function isOwned(metadata: ObjectMeta, member: Member): boolean {
  return metadata.ownerReferences?.some(({ uid }) => uid === member.metadata.uid) ?? false;
}

function owned(member: Member, { name, namespace }: { name: string; namespace?: string }): ObjectMeta {
  const { name: memberName = '', uid = '' } = member.metadata;
  const owner = {
    apiVersion: apiVersionOf(members),
    kind: members.kind,
    name: memberName,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return { name, ...(namespace === undefined ? {} : { namespace }), labels: { [memberLabel]: memberName }, ownerReferences: [owner] };
}

function clusterRole(name: string): RoleBinding['roleRef'] {
  return { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
}

function subjectFor(member: Member): NonNullable<RoleBinding['subjects']>[number] {
  return { kind: 'ServiceAccount', name: nameOf(member), namespace: memberNamespace };
}

function nameOf({ metadata }: Member): string {
  return metadata.name ?? '';
}

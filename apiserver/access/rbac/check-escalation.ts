/** Nobody grants what they do not hold (Kubernetes' `pkg/registry/rbac`, the `policybased` storages). */
import { equalJson, without, type JsonObject } from '../../admission/json-value.ts';
import type { ResourceDefinition, UserInfo } from '../../registry/resource.ts';
import { notFound, qualifiedName, StatusError } from '../../registry/status-error.ts';
import { describeRules, missingRights, quoteList } from './missing-rights.ts';
import { fullAuthority, rbacGroup, rulesOf, type BindingObject, type PolicyRule, type RoleObject } from './policy.ts';
import { isMaster, type RbacAuthorizer } from './rbac-authorizer.ts';

/** One write of an object; `old` is absent for a creation. */
export interface PolicyWrite {
  definition: ResourceDefinition;
  object: JsonObject;
  old: JsonObject | undefined;
  user: UserInfo;
}

interface Judges {
  authorizer: RbacAuthorizer;
  /** A ClusterRole where the namespace is absent. */
  findRole: (namespace: string | undefined, name: string) => RoleObject | undefined;
}

/** Throws 403 when a write of a role or a binding would grant more than its user holds, 404 for a binding to a role that does not exist. */
export function checkEscalation(judges: Judges, write: PolicyWrite): void {
  const { definition, user, object, old } = write;
  if (definition.group !== rbacGroup || isMaster(user)) return;
  if (old !== undefined && onlyCollectsGarbage(object, old)) return;
  switch (definition.resource) {
    case 'roles':
    case 'clusterroles':
      checkRole(judges, write, object as unknown as RoleObject);
      return;
    case 'rolebindings':
    case 'clusterrolebindings':
      checkBinding(judges, write, object as unknown as BindingObject);
      return;
    default:
  }
}

/** Owners and finalizers change nothing that anybody may do. */
function onlyCollectsGarbage(object: JsonObject, old: JsonObject): boolean {
  const rest = (one: JsonObject): JsonObject => ({
    ...one,
    metadata: without(one['metadata'] as JsonObject, 'ownerReferences', 'finalizers', 'managedFields', 'resourceVersion'),
  });
  return equalJson(rest(object), rest(old));
}

function checkRole({ authorizer }: Judges, { definition, user, old }: PolicyWrite, role: RoleObject): void {
  const { resource } = definition;
  const { name = '', namespace } = role.metadata;
  // As Kubernetes asks: a creation has no name yet in its URL.
  const named = old === undefined ? {} : { name };
  const place = namespace === undefined ? {} : { namespace };
  if (authorizer.authorize(user, { kind: 'resource', verb: 'escalate', group: rbacGroup, resource, ...named, ...place }).allowed) return;
  requireHeld(authorizer, { definition, name, namespace, user }, rulesOf(role));
  const before = (old ?? {}) as Partial<RoleObject>;
  const gathers = [role.aggregationRule, before.aggregationRule].some((rule) => rule !== undefined && rule !== null);
  if (gathers && missingRights(authorizer.rulesFor(user, undefined).rules, fullAuthority).length > 0) {
    throw forbiddenBecause(definition, name, 'must have cluster-admin privileges to use the aggregationRule');
  }
}

function checkBinding({ authorizer, findRole }: Judges, { definition, user }: PolicyWrite, binding: BindingObject): void {
  const { name = '', namespace } = binding.metadata;
  const { roleRef } = binding;
  const isCluster = roleRef.kind === 'ClusterRole';
  const resource = isCluster ? 'clusterroles' : 'roles';
  const place = namespace === undefined ? {} : { namespace };
  const bind = { kind: 'resource', verb: 'bind', group: rbacGroup, resource, name: roleRef.name, ...place } as const;
  if (authorizer.authorize(user, bind).allowed) return;
  const role = findRole(isCluster ? undefined : namespace, roleRef.name);
  if (role === undefined) throw notFound({ group: rbacGroup, resource, kind: roleRef.kind }, roleRef.name);
  requireHeld(authorizer, { definition, name, namespace, user }, rulesOf(role));
}

interface Grantor {
  definition: ResourceDefinition;
  name: string;
  namespace: string | undefined;
  user: UserInfo;
}

function requireHeld(authorizer: RbacAuthorizer, { definition, name, namespace, user }: Grantor, rules: readonly PolicyRule[]): void {
  const held = authorizer.rulesFor(user, namespace);
  const missing = missingRights(held.rules, rules);
  if (missing.length === 0) return;
  const who = `user ${JSON.stringify(user.name)} (groups=${quoteList(user.groups)})`;
  const resolution = held.errors.length === 0 ? '' : `; resolution errors: [${held.errors.join(', ')}]`;
  const rights = describeRules(missing).join('\n');
  throw forbiddenBecause(definition, name, `${who} is attempting to grant RBAC permissions not currently held:\n${rights}${resolution}`);
}

function forbiddenBecause({ group, resource }: ResourceDefinition, name: string, why: string): StatusError {
  return new StatusError({
    message: `${qualifiedName(resource, group)} ${JSON.stringify(name)} is forbidden: ${why}`,
    reason: 'Forbidden',
    details: { name, group, kind: resource },
    code: 403,
  });
}

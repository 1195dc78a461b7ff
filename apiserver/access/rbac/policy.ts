/** Shapes of `rbac.authorization.k8s.io/v1`, as stored objects have them. */
import type { KubernetesObject } from '../../../api/object.ts';
import type { LabelSelector } from '../../../api/selector.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';

export interface PolicyRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface Subject {
  kind: string;
  apiGroup?: string;
  name: string;
  namespace?: string;
}

export interface RoleRef {
  apiGroup: string;
  kind: string;
  name: string;
}

/** Role or ClusterRole. */
export interface RoleObject extends KubernetesObject {
  rules?: PolicyRule[] | null;
  aggregationRule?: { clusterRoleSelectors?: LabelSelector[] | null } | null;
}

/** RoleBinding or ClusterRoleBinding. */
export interface BindingObject extends KubernetesObject {
  subjects?: Subject[] | null;
  roleRef: RoleRef;
}

/** Everything there is: what a ClusterRole that gathers others could come to hold. */
export const fullAuthority: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

export function rulesOf(role: RoleObject): PolicyRule[] {
  return role.rules ?? [];
}

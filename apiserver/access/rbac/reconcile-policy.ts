/**
 * What becomes of a stored role or binding at the server's start (Kubernetes' `pkg/registry/rbac/reconciliation`): what is missing is added,
 * what somebody added stays. Pure.
 */
import { canonicalJson, equalJson } from '../../admission/json-value.ts';
import { missingRights } from './missing-rights.ts';
import { rulesOf, type BindingObject, type RoleObject } from './policy.ts';

export const autoUpdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';

type Policy = RoleObject | BindingObject;

/** `replace`: a binding cannot be pointed at another role, so it is deleted and made anew. */
export type Outcome<T> = { action: 'keep' } | { action: 'update' | 'replace'; object: T };

export function reconcileRole(wanted: RoleObject, stored: RoleObject): Outcome<RoleObject> {
  if (isLeftAlone(stored)) return { action: 'keep' };
  const next: RoleObject = { ...stored, metadata: mergeMetadata(wanted, stored) };
  if (wanted.aggregationRule === undefined) {
    next.rules = [...rulesOf(stored), ...rulesOf(wanted).filter((rule) => missingRights(rulesOf(stored), [rule]).length > 0)];
  } else {
    const selectors = stored.aggregationRule?.clusterRoleSelectors ?? [];
    next.aggregationRule = { clusterRoleSelectors: union(selectors, wanted.aggregationRule?.clusterRoleSelectors ?? []) };
  }
  return outcomeOf(next, stored);
}

export function reconcileBinding(wanted: BindingObject, stored: BindingObject): Outcome<BindingObject> {
  if (isLeftAlone(stored)) return { action: 'keep' };
  const subjects = union(stored.subjects ?? [], wanted.subjects ?? []);
  if (!equalJson(wanted.roleRef, stored.roleRef)) return { action: 'replace', object: { ...wanted, subjects } };
  return outcomeOf({ ...stored, metadata: mergeMetadata(wanted, stored), subjects }, stored);
}

function isLeftAlone({ metadata }: Policy): boolean {
  return metadata.annotations?.[autoUpdateAnnotation] === 'false';
}

/** What is stored wins. */
function mergeMetadata(wanted: Policy, stored: Policy): Policy['metadata'] {
  const labels = { ...wanted.metadata.labels, ...stored.metadata.labels };
  const annotations = { ...wanted.metadata.annotations, ...stored.metadata.annotations };
  return {
    ...stored.metadata,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function union<T>(stored: readonly T[], wanted: readonly T[]): T[] {
  const known = new Set(stored.map((one) => canonicalJson(one)));
  return [...stored, ...wanted.filter((one) => !known.has(canonicalJson(one)))];
}

function outcomeOf<T extends Policy>(next: T, stored: T): Outcome<T> {
  return equalJson(next, stored) ? { action: 'keep' } : { action: 'update', object: next };
}

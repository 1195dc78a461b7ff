/** What becomes of an object whose owners go; after Kubernetes' `pkg/controller/garbagecollector`. Pure. */
import type { KubernetesObject, OwnerReference } from '../../api/object.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/** `waiting`: it is being deleted in the foreground, and stays until its blocking dependents are gone. `unknown`: nobody could say. */
export type OwnerState = 'present' | 'absent' | 'waiting' | 'unknown';

export type DependentChange =
  | { kind: 'none' }
  | { kind: 'keep-owners'; ownerReferences: OwnerReference[] }
  | { kind: 'delete'; propagationPolicy: 'Background' | 'Foreground' | 'Orphan' };

export function isDeleting({ metadata }: KubernetesObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

export function stateOf(owner: KubernetesObject): 'present' | 'waiting' {
  return isDeleting(owner) && hasFinalizer(owner, foregroundFinalizer) ? 'waiting' : 'present';
}

export function hasFinalizer({ metadata }: KubernetesObject, finalizer: string): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false;
}

/** One owner that is there keeps an object; owners that are not, or only wait for it, lose their claim. */
export function judgeDependent(
  object: KubernetesObject,
  stateOfOwner: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): DependentChange {
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || isDeleting(object)) return { kind: 'none' };
  const states = owners.map(stateOfOwner);
  if (states.includes('present')) {
    const kept = owners.filter((_, index) => states[index] === 'present' || states[index] === 'unknown');
    return kept.length === owners.length ? { kind: 'none' } : { kind: 'keep-owners', ownerReferences: kept };
  }
  if (states.includes('unknown')) return { kind: 'none' };
  if (states.includes('waiting') && hasDependents) return { kind: 'delete', propagationPolicy: 'Foreground' };
  if (hasFinalizer(object, orphanFinalizer)) return { kind: 'delete', propagationPolicy: 'Orphan' };
  if (hasFinalizer(object, foregroundFinalizer)) return { kind: 'delete', propagationPolicy: 'Foreground' };
  return { kind: 'delete', propagationPolicy: 'Background' };
}

export function isOwnedBy(object: KubernetesObject, uid: string): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

/** Whether the owner's foreground deletion waits for this one. */
export function blocks(object: KubernetesObject, ownerUid: string): boolean {
  return object.metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === ownerUid && blockOwnerDeletion === true) ?? false;
}

/** What a terminating namespace says of itself; conditions and their texts as Kubernetes' `pkg/controller/namespace/deletion`. Pure. */
import { setCondition } from '../../api/conditions.ts';
import type { ConditionUpdate } from '../../api/conditions.ts';
import type { Condition, KubernetesObject } from '../../api/object.ts';

export interface Contents {
  /** What could not be asked which resources there are. */
  discoveryFailures: readonly string[];
  /** What could not be deleted or listed. */
  deletionFailures: readonly string[];
  /** What is still there, by `plural.group`. */
  remaining: ReadonlyMap<string, readonly KubernetesObject[]>;
}

export function isEmptied({ discoveryFailures, deletionFailures, remaining }: Contents): boolean {
  return discoveryFailures.length === 0 && deletionFailures.length === 0 && remaining.size === 0;
}

interface Line {
  type: string;
  /** What makes the condition True. */
  wrong: (contents: Contents) => readonly string[];
  reason: string;
  say: (wrong: readonly string[]) => string;
  fineReason: string;
  fine: string;
}

const lines: readonly Line[] = [
  {
    type: 'NamespaceDeletionDiscoveryFailure',
    wrong: ({ discoveryFailures }) => discoveryFailures,
    reason: 'DiscoveryFailed',
    say: (wrong) => `Discovery failed for some groups, ${wrong.length} failing: ${wrong.join('; ')}`,
    fineReason: 'ResourcesDiscovered',
    fine: 'All resources successfully discovered',
  },
  {
    type: 'NamespaceDeletionContentFailure',
    wrong: ({ deletionFailures }) => deletionFailures,
    reason: 'ContentDeletionFailed',
    say: (wrong) => `Failed to delete all resource types, ${wrong.length} remaining: ${wrong.join('; ')}`,
    fineReason: 'ContentDeleted',
    fine: 'All content successfully deleted, may be waiting on finalization',
  },
  {
    type: 'NamespaceContentRemaining',
    wrong: ({ remaining }) => counts(remaining),
    reason: 'SomeResourcesRemain',
    say: (wrong) => `Some resources are remaining: ${wrong.join(', ')}`,
    fineReason: 'ContentRemoved',
    fine: 'All content successfully removed',
  },
  {
    type: 'NamespaceFinalizersRemaining',
    wrong: ({ remaining }) => finalizers(remaining),
    reason: 'SomeFinalizersRemain',
    say: (wrong) => `Some content in the namespace has finalizers remaining: ${wrong.join(', ')}`,
    fineReason: 'ContentHasNoFinalizers',
    fine: 'All content-preserving finalizers finished',
  },
];

/** The same array when nothing changed. */
export function namespaceConditions(before: Condition[] | undefined, contents: Contents, nowMs: number): Condition[] {
  return lines.reduce<Condition[]>((conditions, { type, wrong, reason, say, fineReason, fine }) => {
    const found = wrong(contents);
    const update: ConditionUpdate =
      found.length === 0
        ? { type, status: 'False', reason: fineReason, message: fine }
        : { type, status: 'True', reason, message: say(found) };
    return setCondition(conditions, update, nowMs);
  }, before ?? []);
}

function counts(remaining: Contents['remaining']): string[] {
  return [...remaining].map(([name, objects]) => `${name} has ${objects.length} resource instances`).sort();
}

function finalizers(remaining: Contents['remaining']): string[] {
  const found = new Map<string, number>();
  for (const { metadata } of [...remaining.values()].flat()) {
    for (const finalizer of metadata.finalizers ?? []) found.set(finalizer, (found.get(finalizer) ?? 0) + 1);
  }
  return [...found].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`).sort();
}

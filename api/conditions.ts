/** Conditions as apimachinery's `meta.SetStatusCondition` keeps them. Pure: what changes is answered as a new array. */
import type { Condition, ConditionStatus } from './object.ts';
import { formatTime } from './time.ts';

/** What a controller says; when it became so is found by {@link setCondition}. */
export interface ConditionUpdate {
  type: string;
  status: ConditionStatus;
  reason: string;
  message: string;
  observedGeneration?: number;
}

export function findCondition<C extends { type: string }>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isTrue(conditions: readonly { type: string; status: string }[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * Answers the conditions with this one set. `lastTransitionTime` moves only when the status does; `observedGeneration` always moves.
 * The same array is answered when nothing changed. The order of the others is kept; a new one comes last.
 */
export function setCondition(conditions: Condition[] | undefined, update: ConditionUpdate, nowMs: number): Condition[] {
  const before = findCondition(conditions, update.type);
  const lastTransitionTime = before?.status === update.status ? before.lastTransitionTime : formatTime(nowMs);
  const after: Condition = { ...update, lastTransitionTime };
  if (conditions === undefined) return [after];
  if (before === undefined) return [...conditions, after];
  if (isSame(before, after)) return conditions;
  return conditions.map((condition) => (condition.type === update.type ? after : condition));
}

function isSame(before: Condition, after: Condition): boolean {
  return (
    before.status === after.status &&
    before.reason === after.reason &&
    before.message === after.message &&
    before.observedGeneration === after.observedGeneration &&
    before.lastTransitionTime === after.lastTransitionTime
  );
}

/** What an instance's status becomes when it gets a place, loses it, or finds none. docs/states.md has the whole protocol. */
import { setCondition } from './conditions.ts';
import type { ConditionUpdate } from './conditions.ts';
import type { Instance } from './generated/instance.ts';
import { conditionTypes, reasons } from './reasons.ts';
import type { Reason } from './reasons.ts';

export type InstanceStatus = NonNullable<Instance['status']>;
export type Assignment = NonNullable<InstanceStatus['assignment']>;

/** It ended and `restartPolicy` is done. Final: its reservation is released, and nothing starts it again. */
export function isFinished(instance: Instance): boolean {
  const phase = instance.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

/** The epoch that the next placement has. */
export function nextEpoch(instance: Instance): number {
  return (instance.status?.lastEpoch ?? 0) + 1;
}

/** The one thing that an agent wrote which goes on from placement to placement: what the image of the spec means. */
function resolvedImage({ spec, status }: Instance): Pick<InstanceStatus, 'resolvedImage'> {
  const resolved = status?.resolvedImage;
  return resolved?.image === spec.image ? { resolvedImage: resolved } : {};
}

/** Bound: everything else that an agent wrote about a former placement is gone. */
export function boundStatus(instance: Instance, assignment: Assignment, hostname: string, nowMs: number): InstanceStatus {
  return {
    phase: 'Assigned',
    assignment,
    lastEpoch: assignment.epoch,
    hostname,
    ...resolvedImage(instance),
    conditions: conditionsOf(
      instance,
      [
        { type: conditionTypes.scheduled, status: 'True', reason: reasons.placed, message: `placed on ${assignment.providerName}` },
        { type: conditionTypes.ready, status: 'False', reason: reasons.waitingForAgent, message: 'waiting for the provider to start it' },
      ],
      nowMs,
    ),
  };
}

/** The assignment is cleared. What is finished keeps what it ended with; anything else waits for another place. */
export function unboundStatus(instance: Instance, reason: Reason, message: string, nowMs: number): InstanceStatus {
  if (isFinished(instance)) {
    const { assignment, hostname, ...kept } = instance.status ?? {};
    return assignment === undefined && hostname === undefined ? (instance.status ?? {}) : kept;
  }
  return waitingStatus(instance, reason, message, nowMs);
}

/** Nothing fits. Answers the status that is there when it says so already. */
export function refusedStatus(instance: Instance, sentence: string, nowMs: number): InstanceStatus {
  const before = instance.status;
  const after = waitingStatus(instance, reasons.noProviderFits, sentence, nowMs);
  const same = before?.phase === after.phase && sameConditions(before?.conditions, after.conditions);
  return before !== undefined && same ? before : after;
}

/** The epoch is used up, so that no bind at it can succeed any more. */
export function burntStatus(instance: Instance, epoch: number): InstanceStatus {
  return { ...instance.status, lastEpoch: Math.max(instance.status?.lastEpoch ?? 0, epoch) };
}

function waitingStatus(instance: Instance, reason: Reason, message: string, nowMs: number): InstanceStatus {
  const { lastEpoch } = instance.status ?? {};
  return {
    phase: 'Pending',
    ...(lastEpoch !== undefined && { lastEpoch }),
    ...resolvedImage(instance),
    conditions: conditionsOf(
      instance,
      [
        { type: conditionTypes.scheduled, status: 'False', reason, message },
        // The same sentence: tables show the message of Ready.
        { type: conditionTypes.ready, status: 'False', reason: reasons.waitingForPlacement, message },
      ],
      nowMs,
    ),
  };
}

/** Only these conditions are kept, each with the time of its last change. */
function conditionsOf(instance: Instance, updates: ConditionUpdate[], nowMs: number): NonNullable<InstanceStatus['conditions']> {
  const { generation } = instance.metadata;
  const types = new Set(updates.map(({ type }) => type));
  const before = (instance.status?.conditions ?? []).filter(({ type }) => types.has(type));
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  return updates.reduce((conditions, update) => setCondition(conditions, { ...update, ...observed }, nowMs), before);
}

function sameConditions(a: InstanceStatus['conditions'], b: InstanceStatus['conditions']): boolean {
  const text = (conditions: InstanceStatus['conditions']): string[] =>
    (conditions ?? []).map(({ type, status, reason, message, observedGeneration }) =>
      JSON.stringify([type, status, reason, message, observedGeneration]),
    );
  const [left, right] = [text(a).sort(), text(b).sort()];
  return left.length === right.length && left.every((line, index) => line === right[index]);
}

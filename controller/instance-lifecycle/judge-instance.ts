/** What instance-lifecycle should write about an instance: at most one thing at a time, in this order. Pure. */
import { findCondition, setCondition } from '../../api/conditions.ts';
import type { ConditionUpdate } from '../../api/conditions.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { containerFinalizer } from '../../api/names.ts';
import { isFinished } from '../../api/placement-status.ts';
import type { InstanceStatus } from '../../api/placement-status.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { parseTime } from '../../api/time.ts';

export type InstanceChange =
  | { kind: 'none' }
  | { kind: 'wait'; delayMs: number }
  | { kind: 'status'; status: InstanceStatus }
  | { kind: 'add-finalizer' }
  | { kind: 'remove-finalizer' }
  /** The provider of that name and uid is not among those we know: whether it is really gone decides over the finalizer. */
  | { kind: 'remove-finalizer-if-gone'; providerName: string; providerUid: string };

const none: InstanceChange = { kind: 'none' };
/** A new instance of which the scheduler said nothing for so long is Pending by our word. */
const silenceMs = 2_000;

/** `provider` is the one of the assignment's name and uid, undefined when we know none. */
export function judgeInstance(instance: Instance, provider: Provider | undefined, nowMs: number): InstanceChange {
  const { metadata, status } = instance;
  if (metadata.deletionTimestamp !== undefined) return judgeDeletion(instance, provider);
  if (metadata.finalizers?.includes(containerFinalizer) !== true) return { kind: 'add-finalizer' };
  if (status?.phase === undefined) return judgeNew(instance, nowMs);
  if (status.assignment === undefined || isFinished(instance) || provider === undefined) return none;
  const isUnknown = findCondition(provider.status?.conditions, conditionTypes.ready)?.status === 'Unknown';
  if (isUnknown && status.phase !== 'Lost') return { kind: 'status', status: lostStatus(instance, status, nowMs) };
  if (!isUnknown && status.phase === 'Lost') return { kind: 'status', status: foundStatus(instance, status, nowMs) };
  return none;
}

/** The scheduler takes it up the moment it has the finalizer, and says Assigned or Pending itself; saying it sooner would only be in its way. */
function judgeNew({ metadata, status }: Instance, nowMs: number): InstanceChange {
  const ageMs = nowMs - (parseTime(metadata.creationTimestamp) ?? 0);
  if (ageMs >= 0 && ageMs < silenceMs) return { kind: 'wait', delayMs: silenceMs - ageMs };
  return { kind: 'status', status: { ...status, phase: 'Pending' } };
}

function judgeDeletion(instance: Instance, provider: Provider | undefined): InstanceChange {
  const { metadata, status } = instance;
  if (metadata.finalizers?.includes(containerFinalizer) !== true) return none;
  const assignment = status?.assignment;
  if (assignment === undefined) return { kind: 'remove-finalizer' };
  const isRemoved = findCondition(status?.conditions, conditionTypes.containerRemoved)?.status === 'True';
  if (isRemoved && status?.observedEpoch === assignment.epoch) return { kind: 'remove-finalizer' };
  if (provider !== undefined) return none;
  return { kind: 'remove-finalizer-if-gone', providerName: assignment.providerName, providerUid: assignment.providerUID };
}

function lostStatus(instance: Instance, status: InstanceStatus, nowMs: number): InstanceStatus {
  const message = `${status.assignment?.providerName ?? 'the provider'} does not answer; nothing is started elsewhere meanwhile`;
  const now = { status: 'Unknown', reason: reasons.providerLost, message } as const;
  return { ...status, phase: 'Lost', conditions: ready(instance, status, now, nowMs) };
}

/** What was last known; the agent corrects it as soon as it writes. */
function foundStatus(instance: Instance, status: InstanceStatus, nowMs: number): InstanceStatus {
  const message = 'the provider answers again';
  if (status.state?.running !== undefined) {
    const now = { status: 'True', reason: reasons.running, message } as const;
    return { ...status, phase: 'Running', conditions: ready(instance, status, now, nowMs) };
  }
  const isStopped = instance.spec.powerState === 'Stopped' && status.state?.terminated !== undefined;
  const now = { status: 'False', reason: isStopped ? reasons.stopped : reasons.waitingForAgent, message } as const;
  return { ...status, phase: isStopped ? 'Stopped' : 'Assigned', conditions: ready(instance, status, now, nowMs) };
}

type ReadyNow = Pick<ConditionUpdate, 'status' | 'reason' | 'message'>;

function ready(instance: Instance, before: InstanceStatus, now: ReadyNow, nowMs: number): NonNullable<InstanceStatus['conditions']> {
  const { generation } = instance.metadata;
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  return setCondition(before.conditions, { type: conditionTypes.ready, ...now, ...observed }, nowMs);
}

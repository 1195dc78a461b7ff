/** What an instance's status says, from what the engine and the journal know. Names and shapes are Kubernetes' `ContainerStatus`. Pure. */
import { setCondition } from '../../api/conditions.ts';
import type { ConditionUpdate } from '../../api/conditions.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { digestOf, pinnedReference } from '../../api/image-reference.ts';
import type { Condition } from '../../api/object.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { formatTime } from '../../api/time.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import type { ReportedUsage } from '../usage/usage-rate.ts';
import { failedForGood, isRunning } from './converge.ts';
import { diskPressure } from './disk-pressure.ts';
import { endOf, outcomeOf } from './restart.ts';
import { usageStatus, withoutUsage } from './usage-status.ts';
import type { ContainerEnd, Decision, DesiredInstance, Hold, ImageState, JournalEntry } from './world.ts';

export type InstanceStatus = NonNullable<Instance['status']>;

export interface StatusInput {
  desired: DesiredInstance;
  /** What the API has now; what is not the agent's in it is kept. */
  current: InstanceStatus;
  /** At the same epoch as `desired`. */
  journal: JournalEntry;
  container: ObservedContainer | undefined;
  decision: Decision;
  image: ImageState | undefined;
  /** Undefined when it was not measured. */
  usage: ReportedUsage | undefined;
  nowMs: number;
}

/** Where the container is, in one word and one sentence. */
interface Situation {
  phase: NonNullable<InstanceStatus['phase']>;
  ready: boolean;
  reason: string;
  message: string;
  state: NonNullable<InstanceStatus['state']>;
}

export function instanceStatus(input: StatusInput): InstanceStatus {
  if (input.decision.waiting?.reason === reasons.engineUnavailable) return unknownStatus(input);
  const { current, desired, journal, container } = input;
  const situation = situationOf(input);
  const conditions = conditionsOf(input, situation).reduce<Condition[] | undefined>(
    (all, update) => setCondition(all, { ...update, observedGeneration: desired.generation }, input.nowMs),
    current.conditions,
  );
  const status: InstanceStatus = {
    ...current,
    observedGeneration: desired.generation,
    observedEpoch: journal.epoch,
    phase: situation.phase,
    restartCount: journal.restartCount,
    state: situation.state,
    ...(conditions === undefined ? {} : { conditions }),
  };
  if (container === undefined) delete status.containerID;
  else status.containerID = `docker://${container.id}`;
  if (container !== undefined) status.imageID = imageIdOf(input, container);
  const resolved = resolvedImage(input);
  if (resolved === undefined) delete status.resolvedImage;
  else status.resolvedImage = resolved;
  const lastEnd = journal.lastEnd;
  if (lastEnd === undefined) delete status.lastState;
  else status.lastState = { terminated: terminated(lastEnd) };
  return input.usage === undefined ? status : { ...withoutUsage(status), ...usageStatus(input.usage) };
}

/** Nobody can tell how the container is: what was said of it stays, but for Ready. */
function unknownStatus({ current, desired, journal, nowMs }: StatusInput): InstanceStatus {
  const message = 'The container engine of the provider does not answer';
  const update: ConditionUpdate = { type: conditionTypes.ready, status: 'Unknown', reason: reasons.engineUnavailable, message };
  const conditions = setCondition(current.conditions, { ...update, observedGeneration: desired.generation }, nowMs);
  return { ...current, observedGeneration: desired.generation, observedEpoch: journal.epoch, conditions };
}

/** By digest where the image came from a registry; by the engine's id otherwise. */
function imageIdOf({ current, image, desired }: StatusInput, container: ObservedContainer): string {
  if (image?.kind === 'present' && image.info.id === container.imageId) {
    const digest = digestOf(desired.image.reference, image.info.digests);
    return digest === undefined ? container.imageId : pinnedReference(desired.image.written, digest);
  }
  // The image is not looked up while its container lives: what was said of the same container holds.
  return current.containerID === `docker://${container.id}` && current.imageID !== undefined ? current.imageID : container.imageId;
}

/** Said once, by the first provider that had the image; it stays until the spec names another. */
function resolvedImage({ current, image, desired }: StatusInput): InstanceStatus['resolvedImage'] {
  const { written, reference } = desired.image;
  if (current.resolvedImage?.image === written) return current.resolvedImage;
  const digest = image?.kind === 'present' ? digestOf(reference, image.info.digests) : undefined;
  return digest === undefined ? undefined : { image: written, digest };
}

function situationOf(input: StatusInput): Situation {
  const { container, desired, journal } = input;
  if (container !== undefined && isRunning(container)) return running(input, container);
  const end = container === undefined ? undefined : endOf(container, journal);
  if (desired.finished) return finished(input.current, end);
  const outcome = end === undefined ? undefined : outcomeOf(desired, end);
  if (end !== undefined && outcome !== undefined) return ended(outcome, end);
  if (container !== undefined && failedForGood(desired, journal)) return couldNotStart(container, journal);
  if (desired.powerState === 'Stopped') return stopped(end);
  if (desired.held !== undefined) return heldBack(desired.held, container);
  if (input.decision.waiting?.reason === reasons.diskPressure) return heldBack(input.decision.waiting, container);
  return waiting(input, end);
}

function running({ desired, decision }: StatusInput, container: ObservedContainer): Situation {
  const startedAt = container.startedAtMs;
  const state = { running: startedAt === undefined ? {} : { startedAt: formatTime(startedAt) } };
  if (desired.deleting || desired.powerState === 'Stopped') {
    const message = 'The container is being stopped';
    return { phase: 'Running', ready: false, reason: reasons.stopped, message, state };
  }
  // A limit that cannot be applied, for example less memory than is in use.
  const trouble = decision.waiting;
  if (trouble?.reason === reasons.error || trouble?.reason === reasons.diskPressure) {
    return { phase: 'Running', ready: false, reason: trouble.reason, message: cut(trouble.message), state };
  }
  return { phase: 'Running', ready: true, reason: reasons.running, message: 'The container runs', state };
}

/** What was said when it ended stays, also when the container is gone. */
function finished(current: InstanceStatus, end: ContainerEnd | undefined): Situation {
  const phase = current.phase === 'Succeeded' ? 'Succeeded' : 'Failed';
  if (end !== undefined && !end.stopped) return ended(phase, end);
  const ready = current.conditions?.find(({ type }) => type === conditionTypes.ready);
  const fallback = phase === 'Succeeded' ? reasons.completed : reasons.error;
  return {
    phase,
    ready: false,
    reason: ready?.reason ?? fallback,
    message: ready?.message ?? 'The container ended',
    state: current.state ?? {},
  };
}

function ended(phase: 'Succeeded' | 'Failed', end: ContainerEnd): Situation {
  const message = phase === 'Succeeded' ? 'The container ended with success' : `The container ended: ${describeEnd(end)}`;
  return { phase, ready: false, reason: reasonOf(end), message, state: { terminated: terminated(end) } };
}

function couldNotStart(container: ObservedContainer, journal: JournalEntry): Situation {
  const message = cut(journal.failure?.message ?? 'The command cannot be run');
  const exitCode = container.exitCode === 0 ? 128 : container.exitCode;
  const state = { terminated: { exitCode, reason: reasons.createFailed, message, containerID: `docker://${container.id}` } };
  return { phase: 'Failed', ready: false, reason: reasons.createFailed, message, state };
}

function stopped(end: ContainerEnd | undefined): Situation {
  const message = 'The instance is stopped; its disk is kept';
  const state =
    end === undefined ? { waiting: { reason: reasons.stopped, message } } : { terminated: terminated({ ...end, stopped: true }) };
  return { phase: 'Stopped', ready: false, reason: reasons.stopped, message, state };
}

function heldBack({ reason, message }: Hold, container: ObservedContainer | undefined): Situation {
  const phase = container?.startedAtMs === undefined ? 'Assigned' : 'Stopped';
  return { phase, ready: false, reason, message: cut(message), state: { waiting: { reason, message: cut(message) } } };
}

function waiting({ container, decision, journal, desired, image }: StatusInput, end: ContainerEnd | undefined): Situation {
  const phase = container?.startedAtMs === undefined ? 'Assigned' : 'Running';
  const said = decision.waiting ?? { reason: defaultReason(decision), message: defaultMessage(decision, desired) };
  const crashed = said.reason === reasons.crashLoopBackOff && end !== undefined;
  const detail = image?.kind === 'pulling' && said.reason === reasons.pulling ? pullMessage(desired, image) : said.message;
  const message = cut(crashed ? `${said.message}: ${describeEnd(end)}, ${journal.restartCount} restarts so far` : detail);
  return { phase, ready: false, reason: said.reason, message, state: { waiting: { reason: said.reason, message } } };
}

function defaultReason(decision: Decision): string {
  return decision.action?.type === 'recreate' ? reasons.recreating : reasons.creating;
}

function defaultMessage(decision: Decision, desired: DesiredInstance): string {
  return decision.action?.type === 'recreate'
    ? `The container is made anew from ${desired.image.written}`
    : 'The container is being made and started';
}

function conditionsOf(input: StatusInput, situation: Situation): ConditionUpdate[] {
  const { ready, reason, message } = situation;
  const updates: ConditionUpdate[] = [{ type: conditionTypes.ready, status: ready ? 'True' : 'False', reason, message }];
  const image = imageCondition(input);
  if (image !== undefined) updates.push(image);
  const throttled = throttledCondition(input);
  if (throttled !== undefined) updates.push(throttled);
  const disk = diskPressure(input.usage?.diskBytes, input.desired.resources.diskLimitBytes, input.current.conditions);
  if (disk !== undefined) updates.push(disk);
  if (input.desired.deleting && input.container === undefined) {
    const removed = 'The container and its disk are gone';
    updates.push({ type: conditionTypes.containerRemoved, status: 'True', reason: reasons.removed, message: removed });
  }
  return updates;
}

/** Undefined where it never was. */
function throttledCondition({ desired, current }: StatusInput): ConditionUpdate | undefined {
  const type = conditionTypes.throttled;
  const cuts = desired.throttled ?? [];
  if (cuts.length > 0) {
    return { type, status: 'True', reason: reasons.ownerPolicy, message: cut(`The machine's owner allows less: ${cuts.join(', ')}`) };
  }
  const isSet = current.conditions?.some((condition) => condition.type === type) === true;
  return isSet ? { type, status: 'False', reason: reasons.asDeclared, message: 'The limits are as they were declared' } : undefined;
}

/** Undefined while it is not known: what was said stays. */
function imageCondition({ desired, image }: StatusInput): ConditionUpdate | undefined {
  const { written: reference } = desired.image;
  const type = conditionTypes.imageReady;
  switch (image?.kind) {
    case undefined:
      return undefined;
    case 'present': {
      const reason = image.pulled ? reasons.pulled : reasons.present;
      const said = image.pulled ? `${reference} was pulled` : `${reference} was there already`;
      // By its id it cannot be had elsewhere.
      const isImported = digestOf(desired.image.reference, image.info.digests) === undefined;
      return {
        type,
        status: 'True',
        reason,
        message: isImported ? `${said}; no registry has it, so another provider may have another` : said,
      };
    }
    case 'missing':
      return { type, status: 'False', reason: reasons.pulling, message: `${reference} must be pulled` };
    case 'pulling':
      return { type, status: 'False', reason: reasons.pulling, message: pullMessage(desired, image) };
    case 'failed':
      return { type, status: 'False', reason: reasons.imagePullBackOff, message: cut(image.message) };
  }
}

function pullMessage(desired: DesiredInstance, image: ImageState & { kind: 'pulling' }): string {
  return `${desired.image.written} is being pulled: ${image.progress ?? 'waiting for its turn'}`;
}

function terminated(end: ContainerEnd): NonNullable<NonNullable<InstanceStatus['state']>['terminated']> {
  const { exitCode, startedAtMs, finishedAtMs, containerId } = end;
  return {
    exitCode,
    // A shell's convention: a process that a signal ended has 128 and the signal's number.
    ...(exitCode > 128 && exitCode <= 128 + 64 ? { signal: exitCode - 128 } : {}),
    reason: reasonOf(end),
    ...(startedAtMs === undefined ? {} : { startedAt: formatTime(startedAtMs) }),
    finishedAt: formatTime(finishedAtMs),
    containerID: `docker://${containerId}`,
  };
}

/** A container whose first process ended well is Completed, also when a child was killed for memory before. */
function reasonOf(end: ContainerEnd): string {
  if (end.stopped) return reasons.stopped;
  if (end.exitCode === 0) return reasons.completed;
  return end.oomKilled ? reasons.oomKilled : reasons.error;
}

function describeEnd(end: ContainerEnd): string {
  return end.oomKilled && end.exitCode !== 0 ? 'killed for exceeding its memory limit (OOMKilled)' : `exit code ${end.exitCode}`;
}

/** What engines say can be long; the schema takes 2,048 characters. */
function cut(message: string): string {
  const longest = 1024;
  return message.length <= longest ? message : `${message.slice(0, longest - 1)}…`;
}

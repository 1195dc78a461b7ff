/**
 * Decides what the agent does next: from what the API wants, what the engine has and what the journal remembers to at most one step for
 * each instance. Nothing is done here. The rules, each held by a property test:
 * - a container is touched only if its labels name this provider and the instance;
 * - nothing is removed for lack of an instance before the API's list was read, and nothing at all while the engine is away;
 * - an instance has at most one container, and what ended for good is not started again;
 * - an older placement than the journal knows is a stale view, and nothing is done about it;
 * - nothing runs without walls.
 */
import { digestOf, pinnedReference } from '../../api/image-reference.ts';
import { instanceLabel, instanceUidLabel, providerLabel } from '../../api/names.ts';
import { reasons } from '../../api/reasons.ts';
import type { ContainerLimits, ContainerSpec, ObservedContainer } from '../engine/engine.ts';
import { intersects, parseCpuSet } from '../limits/cpu-set.ts';
import { guardDisk } from './disk-guard.ts';
import { endOf, journalForRestart, outcomeOf, restartAtMs, retryAtMs } from './restart.ts';
import { stopWithoutWalls, waitForWalls } from './without-walls.ts';
import type { Action, Decision, DesiredInstance, Hold, JournalEntry, RemovalReason, World } from './world.ts';

/** From SIGTERM to SIGKILL. */
export const stopGraceSeconds = 10;
/** Label with the hash of what a container cannot change while it lives. */
export const specHashLabel = 'potluck.dev/spec-hash';
/** Containers of one provider; its address range, its lists and its passes are made for so many. */
export const mostInstances = 256;
/** Of what may not run any more: the owner's word is to hold within seconds. */
const heldGraceSeconds = 1;
/** How soon something is looked at again that another instance or the engine is busy with. */
const busyRecheckMs = 500;
const fullRecheckMs = 10_000;
/** The engine's times and ours come from one clock, but not from the same moment. */
const clockToleranceMs = 5_000;
/** The kernel's least quota, 1 ms in 100 ms. */
const leastCpuMillis = 10;

/** The one name that an instance's container can have: the engine refuses a second. */
export function containerName(instanceUid: string): string {
  return `potluck-${instanceUid}`;
}

/** The next step of one instance. */
export function decide(world: World, uid: string): Decision {
  if (world.engine === 'unavailable') return wait(reasons.engineUnavailable, 'The container engine does not answer');
  const containers = ownContainers(world, uid);
  const unwalled = stopWithoutWalls(world, uid, containers.find(isRunning));
  if (unwalled !== undefined) return unwalled;
  const desired = world.desired.get(uid);
  if (desired === undefined) return world.synced ? cleanUp(world, uid, containers, 'unassigned') : {};
  const journal = world.journal.get(uid);
  if (journal !== undefined && journal.epoch > desired.epoch) return {};
  if (desired.deleting) return cleanUp(world, uid, containers, 'deleted');
  if (journal === undefined || journal.epoch < desired.epoch) return { action: adopt(desired, journal) };

  const [container, surplus] = preferred(containers, uid);
  if (surplus !== undefined) return { action: removal(uid, surplus, 'duplicate') };
  return decideContainer({ world, desired, journal }, container);
}

function decideContainer(context: Context, container: ObservedContainer | undefined): Decision {
  const { world, desired } = context;
  if (container?.state === 'removing' || container?.state === 'restarting') return { recheckAtMs: world.nowMs + busyRecheckMs };
  if (container?.state === 'dead') return { action: removal(desired.uid, container, 'dead') };
  if (desired.finished) return rest(context, container);
  if (desired.held !== undefined) return hold(context, container, desired.held);
  // What is stopped from the start is to start at once when it is wanted.
  if (desired.powerState === 'Stopped') return container === undefined ? (needsImage(context) ?? {}) : rest(context, container);
  return guardDisk(context, container) ?? bringUp(context, container);
}

function bringUp(context: Context, container: ObservedContainer | undefined): Decision {
  if (container === undefined) return create(context);
  if (container.labels[specHashLabel] !== context.desired.specHash) return recreate(context, container);
  return isRunning(container) ? keepRunning(context, container) : start(context, container);
}

interface Context {
  world: World;
  desired: DesiredInstance;
  journal: JournalEntry;
}

export function isRunning(container: ObservedContainer): boolean {
  return container.state === 'running' || container.state === 'paused';
}

/** The containers of an instance whose labels say that they are ours. */
export function ownContainers(world: Pick<World, 'observed' | 'providerUid'>, uid: string): readonly ObservedContainer[] {
  return (world.observed.get(uid) ?? []).filter(
    ({ labels }) => labels[providerLabel] === world.providerUid && labels[instanceUidLabel] === uid,
  );
}

/** The one to keep comes first: by our name, then running, then the oldest. */
function preferred(containers: readonly ObservedContainer[], uid: string): readonly ObservedContainer[] {
  const rank = (container: ObservedContainer): number => (container.name === containerName(uid) ? 0 : 2) + (isRunning(container) ? 0 : 1);
  return [...containers].sort((a, b) => rank(a) - rank(b) || a.createdAtMs - b.createdAtMs);
}

function wait(reason: string, message: string, recheckAtMs?: number): Decision {
  return { waiting: { reason, message }, ...(recheckAtMs === undefined ? {} : { recheckAtMs }) };
}

function removal(uid: string, container: ObservedContainer, why: RemovalReason): Action {
  return { type: 'remove', uid, containerId: container.id, graceSeconds: stopGraceSeconds, why };
}

function cleanUp(world: World, uid: string, containers: readonly ObservedContainer[], why: RemovalReason): Decision {
  const journal = world.journal.get(uid);
  const [container] = containers;
  if (container === undefined) return world.desired.has(uid) || journal === undefined ? {} : { action: { type: 'forget', uid } };
  if (container.state === 'removing') return { recheckAtMs: world.nowMs + busyRecheckMs };
  const failure = journal?.failure;
  if (failure?.action === 'remove' && retryAtMs(failure) > world.nowMs) {
    return wait(reasons.error, `The container cannot be removed: ${failure.message}`, retryAtMs(failure));
  }
  return { action: removal(uid, container, why) };
}

/** Counts start anew with a placement; a journal that was lost takes them from the API. */
function adopt(desired: DesiredInstance, before: JournalEntry | undefined): Action {
  const { uid, epoch } = desired;
  const restartCount = before === undefined ? desired.reportedRestartCount : 0;
  const stopRequested = before?.stopRequested ?? false;
  return { type: 'adopt', uid, journal: { uid, epoch, restartCount, crashCount: 0, stopRequested } };
}

/** Stopped, or ended for good: nothing runs, the disk stays. */
function rest({ desired, journal }: Context, container: ObservedContainer | undefined): Decision {
  if (container === undefined || !isRunning(container)) return {};
  const { id } = container;
  const requested = { ...journal, stopRequested: true };
  return { action: { type: 'stop', uid: desired.uid, containerId: id, graceSeconds: stopGraceSeconds, journal: requested } };
}

/** Something stronger than the API keeps it from running. Its disk stays, and no image is fetched for it. */
function hold(context: Context, container: ObservedContainer | undefined, { reason, message }: Hold): Decision {
  const { action } = rest(context, container);
  if (action?.type === 'stop') return { action: { ...action, graceSeconds: heldGraceSeconds }, waiting: { reason, message } };
  return wait(reason, message);
}

/** What must hold before a container is made: undefined when it does. */
function needsImage({ world, desired }: Context): Decision | undefined {
  const { image } = desired;
  const state = world.images.get(image.key);
  switch (state?.kind) {
    case 'present':
      if (state.info.volumes?.includes('/') !== true) return undefined;
      return wait(reasons.createFailed, `The image ${image.reference} declares a volume over its root, and cannot be run`);
    case undefined:
      return { action: { type: 'checkImage', uid: desired.uid, image } };
    case 'missing':
      return { action: { type: 'pull', uid: desired.uid, image } };
    case 'pulling':
      return wait(reasons.pulling, `The image ${image.written} is being pulled`);
    case 'failed':
      if (state.retryAtMs <= world.nowMs) return { action: { type: 'pull', uid: desired.uid, image } };
      return wait(reasons.imagePullBackOff, state.message, state.retryAtMs);
  }
}

/** A step that did not work is not tried again at once, unless the instance was changed since. */
function backOff({ world, desired, journal }: Context, action: Action['type'], reason: string): Decision | undefined {
  const { failure } = journal;
  if (failure?.action !== action || failure.generation !== desired.generation || retryAtMs(failure) <= world.nowMs) return undefined;
  return wait(failure.reason ?? reason, failure.message, retryAtMs(failure));
}

function create(context: Context): Decision {
  const { world, desired, journal } = context;
  if (world.observed.size >= mostInstances) {
    return wait(reasons.createFailed, `The provider has ${mostInstances} instances, the most that it can run`, world.nowMs + fullRecheckMs);
  }
  const gpus = freeGpus(context);
  const blocked =
    waitForWalls(world) ??
    needsImage(context) ??
    backOff(context, 'create', reasons.createFailed) ??
    coresAreTaken(context) ??
    gpusAreTaken(context, gpus.length);
  if (blocked !== undefined) return blocked;
  const spec: Omit<ContainerSpec, 'env'> = {
    ...desired.container,
    name: containerName(desired.uid),
    labels: {
      [instanceUidLabel]: desired.uid,
      [instanceLabel]: `${desired.namespace}/${desired.name}`,
      [providerLabel]: world.providerUid,
      [specHashLabel]: desired.specHash,
    },
    limits: wantedLimits(world, desired),
    ...imageAndDisk(context),
    ...(desired.resources.gpus === 0 ? {} : { gpus: gpus.slice(0, desired.resources.gpus) }),
  };
  const environment = { namespace: desired.namespace, entries: desired.environment };
  const { key: imageKey } = desired.image;
  return { action: { type: 'create', uid: desired.uid, imageKey, spec, environment, journal: { ...journal, stopRequested: false } } };
}

/** The image by its digest where it has one, since another pull may move the tag meanwhile; its bytes count in the disk's bound. */
function imageAndDisk({ world, desired }: Context): Pick<ContainerSpec, 'image' | 'diskBytes'> {
  const { key, reference } = desired.image;
  const state = world.images.get(key);
  const info = state?.kind === 'present' ? state.info : undefined;
  const digest = digestOf(reference, info?.digests ?? []);
  const image = digest === undefined ? reference : pinnedReference(reference, digest);
  const { diskLimitBytes } = desired.resources;
  return { image, ...(world.diskQuota && diskLimitBytes > 0 ? { diskBytes: (info?.sizeBytes ?? 0) + diskLimitBytes } : {}) };
}

/** A stopped container keeps what it was made with. */
function freeGpus({ world }: Context): string[] {
  const taken = new Set([...world.observed.values()].flat().flatMap(({ gpus = [] }) => gpus));
  return world.gpus.filter((id) => !taken.has(id));
}

/** The ledger keeps count; for a moment another that leaves may still hold them. */
function gpusAreTaken({ world, desired }: Context, free: number): Decision | undefined {
  const wanted = desired.resources.gpus;
  if (wanted <= free) return undefined;
  const message = `It needs ${wanted} of the machine's ${world.gpus.length} graphics processors, and ${free} are free`;
  return wait(reasons.createFailed, message, world.nowMs + fullRecheckMs);
}

/** The new image is fetched while the old container still runs. */
function recreate(context: Context, container: ObservedContainer): Decision {
  const { desired, journal } = context;
  const blocked = needsImage(context) ?? backOff(context, 'recreate', reasons.recreating);
  if (blocked !== undefined) return blocked;
  const fresh: JournalEntry = { ...journal, crashCount: 0, stopRequested: true };
  return {
    action: { type: 'recreate', uid: desired.uid, containerId: container.id, graceSeconds: stopGraceSeconds, journal: fresh },
  };
}

function keepRunning(context: Context, container: ObservedContainer): Decision {
  const { desired, journal } = context;
  const limits = wantedLimits(context.world, desired);
  const failure = journal.failure?.action === 'updateLimits' ? journal.failure : undefined;
  if (failure !== undefined && desired.throttled !== undefined && limits.memoryBytes < container.limits.memoryBytes)
    return shrink(context, container);
  if (journal.stopRequested) return { action: { type: 'adopt', uid: desired.uid, journal: { ...journal, stopRequested: false } } };
  return fitLimits(context, container) ?? {};
}

/** More memory is in use than the owner allows, and cannot be taken back from what runs: it ends, and starts again with less. */
function shrink({ desired, journal }: Context, container: ObservedContainer): Decision {
  const stopped = { ...journal, stopRequested: true };
  delete stopped.failure;
  return { action: { type: 'stop', uid: desired.uid, containerId: container.id, graceSeconds: heldGraceSeconds, journal: stopped } };
}

/** Brings the limits of a container to what is wanted; undefined when they are. */
function fitLimits(context: Context, container: ObservedContainer): Decision | undefined {
  const { world, desired } = context;
  const limits = wantedLimits(world, desired);
  if (sameLimits(container.limits, limits)) return undefined;
  const blocked = backOff(context, 'updateLimits', reasons.error) ?? coresAreTaken(context);
  return blocked ?? { action: { type: 'updateLimits', uid: desired.uid, containerId: container.id, limits } };
}

function start(context: Context, container: ObservedContainer): Decision {
  const { world, desired, journal } = context;
  const end = endOf(container, journal);
  if (end !== undefined) {
    if (outcomeOf(desired, end) !== undefined) return {};
    const dueMs = restartAtMs(end, journal);
    // An end in the future means that the clock was set back: then there is nothing to wait for.
    if (dueMs > world.nowMs && end.finishedAtMs <= world.nowMs + clockToleranceMs) {
      return wait(reasons.crashLoopBackOff, 'The container keeps ending and is started again after a wait', dueMs);
    }
  }
  const blocked = waitForWalls(world) ?? cannotStart(context) ?? fitLimits(context, container) ?? coresAreTaken(context);
  if (blocked !== undefined) return blocked;
  const next = end === undefined ? { ...journal, stopRequested: false } : journalForRestart(end, journal);
  return { action: { type: 'start', uid: desired.uid, containerId: container.id, journal: next } };
}

function cannotStart(context: Context): Decision | undefined {
  const { desired, journal } = context;
  if (failedForGood(desired, journal)) return {};
  return backOff(context, 'start', reasons.createFailed);
}

/** A command that cannot be run is the end of an instance that is not to be restarted. */
export function failedForGood(desired: DesiredInstance, journal: JournalEntry): boolean {
  const { failure } = journal;
  return desired.restartPolicy === 'Never' && failure?.action === 'start' && failure.kind === 'rejected';
}

/**
 * Nobody moves to cores of its own while another still runs on them; that one is being moved. What the container runs on already does not
 * count: two that shared cores and get their own would wait for each other.
 */
function coresAreTaken({ world, desired }: Context): Decision | undefined {
  if (!world.cpus.pinned.has(desired.uid)) return undefined;
  const running = (uid: string): number[] =>
    ownContainers(world, uid)
      .filter(isRunning)
      .flatMap(({ limits }) => parseCpuSet(limits.cpuset));
  const present = new Set(running(desired.uid));
  const gained = parseCpuSet(world.cpus.cpusets.get(desired.uid) ?? '').filter((cpu) => !present.has(cpu));
  const isTaken = [...world.observed.keys()].some((uid) => uid !== desired.uid && intersects(gained, running(uid)));
  return isTaken ? wait(reasons.creating, 'Its cores are being freed', world.nowMs + busyRecheckMs) : undefined;
}

export function wantedLimits(world: Pick<World, 'cpus' | 'bandwidth'>, desired: DesiredInstance): ContainerLimits {
  const { resources, uid } = desired;
  return {
    cpuMillis: Math.max(leastCpuMillis, resources.cpuLimitMillicores),
    // The kernel takes 2 to 262,144.
    cpuShares: Math.min(262_144, Math.max(2, Math.round((resources.cpuRequestMillicores * 1024) / 1000))),
    cpuset: world.cpus.cpusets.get(uid) ?? '',
    memoryBytes: resources.memoryLimitBytes,
    memoryReservationBytes: Math.min(resources.memoryRequestBytes, resources.memoryLimitBytes),
    pids: resources.pidsLimit,
    ...(world.bandwidth ? bandwidthOf(resources) : {}),
  };
}

function sameLimits(a: ContainerLimits, b: ContainerLimits): boolean {
  return (Object.keys({ ...a, ...b }) as (keyof ContainerLimits)[]).every((key) => a[key] === b[key]);
}

function bandwidthOf({ ingressBitsPerSecond, egressBitsPerSecond }: DesiredInstance['resources']): Partial<ContainerLimits> {
  return {
    ...(ingressBitsPerSecond === undefined ? {} : { ingressBitsPerSecond }),
    ...(egressBitsPerSecond === undefined ? {} : { egressBitsPerSecond }),
  };
}

/** Brings one instance to where the API wants it, step by step, and says in its status how far that got. */
import { setTimeout as delay } from 'node:timers/promises';
import { findCondition, isTrue } from '../api/conditions.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import type { OwnerPolicyStatus } from '../api/owner-policy.ts';
import { conditionTypes, reasons } from '../api/reasons.ts';
import { instances } from '../api/resource-type.ts';
import { ApiError, isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import { WaitingError, recheckAfter, settled } from '../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../runtime/controller.ts';
import type { EventRecorder } from '../runtime/event-recorder.ts';
import { updateStatus } from '../runtime/status-writer.ts';
import { desiredInstance } from './desired-instance.ts';
import type { EngineHealth } from './engine-health.ts';
import { engineErrorKind } from './engine/engine.ts';
import type { Engine } from './engine/engine.ts';
import { Executor } from './executor.ts';
import type { ImageStore } from './image-store.ts';
import type { CpuTopology } from './inventory/cpu-topology.ts';
import type { Journal } from './journal/journal.ts';
import { planCpus } from './limits/cpu-pinning.ts';
import type { CpuPlan } from './limits/cpu-pinning.ts';
import type { DiskWatch } from './limits/disk-watch.ts';
import type { ObservedContainers } from './observed-containers.ts';
import type { Verdict } from './owner-policy/judge-instances.ts';
import { decide, isRunning, ownContainers } from './plan/converge.ts';
import { instanceStatus } from './plan/status.ts';
import type { Action, Decision, DesiredInstance, World } from './plan/world.ts';
import { PolicyVerdicts } from './policy-verdicts.ts';
import type { ReportedUsage } from './usage/usage-rate.ts';
import { resolveEnvironment } from './resolve-environment.ts';

export interface ConvergenceOptions {
  client: Client;
  providerUid: string;
  /** Of the instances assigned to this provider, with an index `uid`. */
  informer: Informer<Instance>;
  /** As it is now. */
  provider: () => Provider;
  engine: Engine;
  health: EngineHealth;
  observed: ObservedContainers;
  journal: Journal;
  images: ImageStore;
  /** What the API is to be told of a container. */
  usage: (containerId: string) => ReportedUsage | undefined;
  /** As it is now. */
  topology: () => CpuTopology;
  /** Ids, as they are now. */
  gpus: () => readonly string[];
  recorder: EventRecorder;
  /** Why the walls around instances do not stand; undefined when they do. */
  wallsDown: () => string | undefined;
  disk: DiskWatch;
  /** Of the machine's owner. */
  policy: () => OwnerPolicyStatus | undefined;
}

/** Steps of one pass; an instance takes six from nothing to running. */
const mostSteps = 12;
/** Most passes wait for a container to end or for the API; what costs more the executor does a few at a time. */
const concurrency = 64;
/** After these the container is as it was. */
const leavesContainer: ReadonlySet<Action['type']> = new Set(['adopt', 'forget', 'checkImage', 'pull']);
/** Of the engine; a restart of dockerd takes less, and is not worth a word in a status. */
const toleratedAbsenceMs = 5_000;
const absenceRecheckMs = 500;

/** The controller; keys are instance uids. */
export class Convergence implements Controller {
  readonly name = 'instance-convergence';
  readonly concurrency = concurrency;
  readonly #options: ConvergenceOptions;
  readonly #executor: Executor;
  readonly #verdicts: PolicyVerdicts;
  #enqueue: (uid: string, delayMs?: number) => void = () => undefined;
  #isSynced = false;
  #lastCpus: ReadonlyMap<string, string> = new Map();

  constructor(options: ConvergenceOptions) {
    this.#options = options;
    const { client, engine, journal, images, informer, provider, policy } = options;
    this.#verdicts = new PolicyVerdicts({
      instances: () => informer.list(),
      provider,
      policy,
      onChange: (instance, verdict, before) => this.#onVerdict(instance, verdict, before),
    });
    this.#executor = new Executor({
      engine,
      journal,
      images,
      resolveEnvironment: (environment) => resolveEnvironment(client, environment),
      announceRecreation: (uid) => this.#announceRecreation(uid),
      nowMs: Date.now,
    });
  }

  start(enqueue: (uid: string, delayMs?: number) => void): void {
    this.#enqueue = enqueue;
    this.#options.informer.onChange((_key, object, previous) => {
      this.#verdicts.invalidate();
      const uids = new Set([object?.metadata.uid, previous?.metadata.uid]);
      for (const uid of uids) if (uid !== undefined) enqueue(uid);
    });
  }

  /** From now on a container without an instance is one too many. */
  setSynced(): void {
    this.#isSynced = true;
    this.enqueueAll();
  }

  enqueue(uid: string): void {
    this.#enqueue(uid);
  }

  enqueueAll(): void {
    this.#verdicts.invalidate();
    const { informer, observed, journal } = this.#options;
    const listed = informer.list().flatMap(({ metadata }) => metadata.uid ?? []);
    for (const uid of new Set([...listed, ...observed.byInstance.keys(), ...journal.entries.keys()])) this.#enqueue(uid);
  }

  async reconcile(uid: string, { logger, signal, nowMs }: ReconcileContext): Promise<Outcome> {
    const { observed, health } = this.#options;
    let decision: Decision;
    try {
      if (health.isReady) await observed.look(uid);
      decision = this.#decide(uid);
      for (let step = 0; decision.action !== undefined && step < mostSteps; step += 1) {
        signal.throwIfAborted();
        await this.#executor.run(decision.action, { generation: this.#desired(uid)?.generation ?? 0, logger });
        if (!leavesContainer.has(decision.action.type)) await observed.look(uid);
        decision = this.#decide(uid);
      }
    } catch (error) {
      if (engineErrorKind(error) !== 'unavailable') throw error;
      health.noteAbsence(error);
      decision = this.#decide(uid);
    }
    if (decision.waiting?.reason === reasons.engineUnavailable && health.absentMs() < toleratedAbsenceMs)
      return recheckAfter(absenceRecheckMs);
    await this.#writeStatus(uid, decision, signal);
    if (decision.action !== undefined) return recheckAfter(0);
    return decision.recheckAtMs === undefined ? settled : recheckAfter(Math.max(50, decision.recheckAtMs - nowMs));
  }

  #instance(uid: string): Instance | undefined {
    return this.#options.informer.byIndex('uid', uid)[0];
  }

  #desired(uid: string): DesiredInstance | undefined {
    const instance = this.#instance(uid);
    return instance === undefined ? undefined : this.read(instance);
  }

  /** As it is to be here, with the owner's word; undefined when it is another provider's. */
  read(instance: Instance): DesiredInstance | undefined {
    const { provider, providerUid } = this.#options;
    return desiredInstance({ instance, provider: provider(), providerUid, verdict: this.#verdicts.of(instance.metadata.uid ?? '') });
  }

  /** What one instance may have depends on the others: when they change, it is looked at as well. */
  #onVerdict(instance: Instance, { held }: Verdict, before: Verdict): void {
    const { recorder } = this.#options;
    this.#enqueue(instance.metadata.uid ?? '');
    if (held === before.held) return;
    if (held !== undefined) recorder.record(instance, 'Warning', reasons.ownerPolicy, held);
    else recorder.record(instance, 'Normal', reasons.ownerPolicy, "The machine's owner allows the instance to run again");
  }

  #decide(uid: string): Decision {
    return decide(this.#world(uid), uid);
  }

  #world(uid: string): World {
    const { providerUid, health, observed, journal, images } = this.#options;
    const desired = this.#desired(uid);
    const wallsDown = this.#options.wallsDown();
    return {
      nowMs: Date.now(),
      providerUid,
      engine: health.isReady ? 'ready' : 'unavailable',
      synced: this.#isSynced,
      desired: new Map(desired === undefined ? [] : [[uid, desired]]),
      observed: observed.byInstance,
      journal: journal.entries,
      images: images.states,
      cpus: this.#planCpus(uid),
      gpus: this.#options.gpus(),
      diskQuota: health.diskQuota,
      ...this.#disk(uid),
      bandwidth: health.bandwidth,
      ...(wallsDown === undefined ? {} : { wallsDown }),
    };
  }

  #disk(uid: string): Pick<World, 'diskOrders' | 'diskClosed'> {
    const { disk, observed } = this.#options;
    const orders = (observed.byInstance.get(uid) ?? []).flatMap(({ id }) => {
      const order = disk.orderOf(id);
      return order === undefined ? [] : [[id, order] as const];
    });
    return { diskOrders: new Map(orders), ...(disk.closed === undefined ? {} : { diskClosed: disk.closed }) };
  }

  /** Of all instances that are to run; those whose processors change are looked at as well. */
  #planCpus(current: string): CpuPlan {
    const { informer, providerUid, observed, topology } = this.#options;
    const wanted = informer
      .list()
      .flatMap((instance) => this.read(instance) ?? [])
      .filter((desired) => !desired.deleting && !desired.finished && desired.held === undefined && desired.powerState === 'Running');
    const demands = wanted.map(({ uid, resources }) => ({
      uid,
      requestMillis: resources.cpuRequestMillicores,
      limitMillis: resources.cpuLimitMillicores,
      current: ownContainers({ observed: observed.byInstance, providerUid }, uid).find(isRunning)?.limits.cpuset ?? '',
    }));
    const plan = planCpus(topology(), demands);
    for (const [uid, cpuset] of plan.cpusets) if (uid !== current && this.#lastCpus.get(uid) !== cpuset) this.#enqueue(uid);
    this.#lastCpus = plan.cpusets;
    return plan;
  }

  async #announceRecreation(uid: string): Promise<void> {
    const instance = this.#instance(uid);
    if (instance === undefined) return;
    const { recorder } = this.#options;
    const message = `The container is made anew with a fresh disk, because its image, command, args, env, envFrom or workingDir changed (${instance.spec.image})`;
    recorder.record(instance, 'Normal', reasons.recreating, message);
    // An API that is away does not keep the change from being made.
    await Promise.race([recorder.flush(), delay(2_000, undefined, { ref: false })]);
  }

  #announcePressure(before: Instance, after: Instance): void {
    const type = conditionTypes.diskPressure;
    const condition = findCondition(after.status?.conditions, type);
    if (condition?.status !== 'True' || isTrue(before.status?.conditions, type)) return;
    this.#options.recorder.record(after, 'Warning', reasons.diskAlmostFull, condition.message);
  }

  /** By compare-and-set, decided anew on each read: never at an older placement than the one that was acted on. */
  async #writeStatus(uid: string, decision: Decision, signal: AbortSignal): Promise<void> {
    const { client, providerUid, journal, observed, images, usage } = this.#options;
    const instance = this.#instance(uid);
    const { name, namespace } = instance?.metadata ?? {};
    if (instance === undefined || name === undefined || namespace === undefined) return;
    const write = (draft: Instance): boolean => {
      const desired = draft.metadata.uid === uid ? this.read(draft) : undefined;
      // What is being deleted may never have been acted on.
      const entry = journal.entries.get(uid) ?? (desired?.deleting === true ? noEntry(desired) : undefined);
      if (desired === undefined || entry?.epoch !== desired.epoch) return false;
      const container = ownContainers({ observed: observed.byInstance, providerUid }, uid)[0];
      const image = images.states.get(desired.image.key);
      const used = container === undefined ? undefined : usage(container.id);
      const current = draft.status ?? {};
      draft.status = instanceStatus({ desired, current, journal: entry, container, decision, image, usage: used, nowMs: Date.now() });
      return true;
    };
    try {
      const mutate = (draft: Instance): false | undefined => (write(draft) ? undefined : false);
      const after = await updateStatus(client, instances, { name, namespace }, mutate, { from: instance, signal, timeoutMs: 10_000 });
      this.#announcePressure(instance, after);
    } catch (error) {
      if (isNotFound(error)) return;
      if (error instanceof ApiError || signal.aborted) throw error;
      throw new WaitingError('ApiUnreachable', error instanceof Error ? error.message : String(error));
    }
  }
}

function noEntry({ uid, epoch, reportedRestartCount }: DesiredInstance): World['journal'] extends ReadonlyMap<string, infer E> ? E : never {
  return { uid, epoch, restartCount: reportedRestartCount, crashCount: 0, stopRequested: false };
}

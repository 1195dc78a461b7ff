/** An agent in miniature for property tests: the real planner and executor over the fake engine, with time turned by hand. */
import assert from 'node:assert/strict';
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import { createFakeClient } from '../../runtime/fake-client.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { EngineError, engineErrorKind } from '../../node-agent/engine/engine.ts';
import type { ContainerSpec, ObservedContainer } from '../../node-agent/engine/engine.ts';
import { FakeEngine } from '../../node-agent/engine/fake-engine.ts';
import { Executor } from '../../node-agent/executor.ts';
import type { ImageStore } from '../../node-agent/image-store.ts';
import type { CpuTopology } from '../../node-agent/inventory/cpu-topology.ts';
import type { Journal } from '../../node-agent/journal/journal.ts';
import { planCpus } from '../../node-agent/limits/cpu-pinning.ts';
import { intersects, parseCpuSet } from '../../node-agent/limits/cpu-set.ts';
import { decide, isRunning, ownContainers } from '../../node-agent/plan/converge.ts';
import { instanceStatus } from '../../node-agent/plan/status.ts';
import type {
  Action,
  Decision,
  DesiredInstance,
  Environment,
  ImageState,
  ImageWant,
  JournalEntry,
  World,
} from '../../node-agent/plan/world.ts';
import { resolveEnvironment } from '../../node-agent/resolve-environment.ts';

export const providerUid = 'provider-1';
export const topology: CpuTopology = {
  cores: [0, 1, 2, 3].map((core) => ({ package: 0, core, threads: [core] })),
};
const changing = new Set(['createContainer', 'startContainer', 'stopContainer', 'killContainer', 'removeContainer', 'updateLimits']);

export class SimulatedAgent {
  readonly engine = new FakeEngine();
  /** Where secrets and config maps are. */
  readonly api = createFakeClient();
  readonly desired = new Map<string, DesiredInstance>();
  readonly statuses = new Map<string, ReturnType<typeof instanceStatus>>();
  /** Ids of containers that are none of the agent's business. */
  readonly strangers = new Set<string>();
  /** For what the test adds. */
  nextId = 0;
  isSynced = false;
  isEngineAway = false;
  areWallsDown = false;
  /** Of engine calls. */
  failureRate = 0;
  journal: MemoryJournal = new MemoryJournal();
  readonly #random: () => number;
  readonly #violations: string[] = [];
  #images = new FakeImages(this.engine);
  #executor = this.#newExecutor();

  constructor(random: () => number) {
    this.#random = random;
    for (const image of ['image:1', 'image:2']) this.engine.registry.set(image, { id: `sha256:${image}`, sizeBytes: 1, digests: [] });
    this.engine.failWhen = ({ method, target }) => {
      if (changing.has(method)) this.#noteViolation(method, target);
      if (this.isEngineAway) return new EngineError('unavailable', 'away');
      if (this.#random() >= this.failureRate) return undefined;
      return new EngineError(this.#random() < 0.3 ? 'unavailable' : 'failed', 'as the test wants it');
    };
  }

  /** As after a kill -9: only the journal is left, or not even that. */
  restart(keepsJournal: boolean): void {
    if (!keepsJournal) this.journal = new MemoryJournal();
    this.#images = new FakeImages(this.engine);
    this.#executor = this.#newExecutor();
    this.isSynced = false;
  }

  /** One step for each instance that has one. Answers how many were taken. */
  async step(): Promise<number> {
    let taken = 0;
    for (const uid of this.#shuffled(this.#uids())) {
      const decision = decide(this.world(), uid);
      if (decision.action !== undefined) {
        taken += 1;
        this.#assertGainedCoresAreFree(decision.action);
        const generation = this.desired.get(uid)?.generation ?? 0;
        try {
          await this.#executor.run(decision.action, { generation, logger: silentLogger });
        } catch (error) {
          assert.equal(engineErrorKind(error), 'unavailable', String(error));
        }
      }
      assert.deepEqual(this.#violations, []);
      this.#writeStatus(uid, decision);
    }
    return taken;
  }

  world(): World {
    const observed = Map.groupBy([...this.engine.containers.values()], ({ labels }) => labels[instanceUidLabel] ?? '');
    const wanted = [...this.desired.values()].filter((each) => !each.deleting && !each.finished && each.powerState === 'Running');
    const demands = wanted.map(({ uid, resources }) => ({
      uid,
      requestMillis: resources.cpuRequestMillicores,
      limitMillis: resources.cpuLimitMillicores,
      current: ownContainers({ observed, providerUid }, uid).find(isRunning)?.limits.cpuset ?? '',
    }));
    return {
      nowMs: this.engine.nowMs,
      providerUid,
      engine: this.isEngineAway ? 'unavailable' : 'ready',
      synced: this.isSynced,
      desired: this.desired,
      observed,
      journal: this.journal.entries,
      images: this.#images.states,
      cpus: planCpus(topology, demands),
      diskQuota: true,
      bandwidth: true,
      ...(this.areWallsDown ? { wallsDown: 'as the test wants it' } : {}),
      gpus: ['GPU-1', 'GPU-2'],
    };
  }

  decisions(): Map<string, Decision> {
    return new Map(this.#uids().map((uid) => [uid, decide(this.world(), uid)]));
  }

  own(uid: string): readonly ObservedContainer[] {
    return ownContainers(this.world(), uid);
  }

  /** A container that somebody else made. */
  addStranger(labels: Record<string, string>, id: string): void {
    this.strangers.add(id);
    this.engine.add({ ...strangerContainer, id, name: `stranger-${id}`, labels, spec: { labels } as unknown as ContainerSpec });
  }

  #shuffled(all: readonly string[]): string[] {
    const keyed = all.map((each) => ({ each, key: this.#random() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ each }) => each);
  }

  #uids(): string[] {
    const { desired, observed, journal } = this.world();
    return [...new Set([...desired.keys(), ...observed.keys(), ...journal.keys()])].filter((uid) => uid !== '');
  }

  #newExecutor(): Executor {
    const { engine, journal } = this;
    const announceRecreation = (): Promise<void> => Promise.resolve();
    const resolve = (environment: Environment): ReturnType<typeof resolveEnvironment> => resolveEnvironment(this.api, environment);
    return new Executor({
      engine,
      journal,
      images: this.#images,
      resolveEnvironment: resolve,
      announceRecreation,
      nowMs: () => engine.nowMs,
    });
  }

  /** What the API would be told; a final phase is read back, as through the API. */
  #writeStatus(uid: string, decision: Decision): void {
    const desired = this.desired.get(uid);
    const journal = this.journal.entries.get(uid);
    if (desired === undefined || journal?.epoch !== desired.epoch) return;
    const status = instanceStatus({
      desired,
      current: this.statuses.get(uid) ?? {},
      journal,
      container: this.own(uid)[0],
      decision,
      image: this.#images.states.get(desired.image.key),
      usage: undefined,
      nowMs: this.engine.nowMs,
    });
    this.statuses.set(uid, status);
    if (status.phase === 'Succeeded' || status.phase === 'Failed') desired.finished = true;
  }

  /** Thrown here, the executor would take it for a failure of the engine. */
  #noteViolation(method: string, target: string): void {
    const container = [...this.engine.containers.values()].find(({ id, name }) => id === target || name === target);
    if (method === 'createContainer' || container === undefined) return;
    const { labels, id } = container;
    if (this.strangers.has(id) || labels[providerLabel] !== providerUid) this.#violations.push(`${method} touched a stranger`);
    const isWanted = this.desired.has(labels[instanceUidLabel] ?? '');
    if (method === 'removeContainer' && !isWanted && !this.isSynced) this.#violations.push('removed before the list was read');
  }

  /** Cores that a step brings to an instance alone are free before. */
  #assertGainedCoresAreFree(action: Action): void {
    if (action.type !== 'start' && action.type !== 'updateLimits') return;
    const { cpus } = this.world();
    if (!cpus.pinned.has(action.uid)) return;
    const before = new Set(this.#runsOn(action.uid));
    const gained = parseCpuSet(cpus.cpusets.get(action.uid) ?? '').filter((cpu) => !before.has(cpu));
    for (const uid of this.#uids()) {
      assert.ok(uid === action.uid || !intersects(gained, this.#runsOn(uid)), `${action.type} brings ${action.uid} to cores of ${uid}`);
    }
  }

  #runsOn(uid: string): number[] {
    return this.own(uid)
      .filter(isRunning)
      .flatMap(({ limits }) => parseCpuSet(limits.cpuset));
  }

  /** At rest. */
  assertPinnedCoresAreNotShared(): void {
    const { cpus } = this.world();
    for (const one of cpus.pinned) {
      for (const other of this.#uids())
        assert.ok(one === other || !intersects(this.#runsOn(one), this.#runsOn(other)), `${one} and ${other} share`);
    }
  }
}

const strangerContainer: Omit<ObservedContainer, 'id' | 'name' | 'labels'> = {
  image: 'image:1',
  imageId: 'sha256:1',
  state: 'running',
  exitCode: 0,
  oomKilled: false,
  error: '',
  createdAtMs: 0,
  startedAtMs: 0,
  limits: { cpuMillis: 0, cpuShares: 0, cpuset: '', memoryBytes: 0, memoryReservationBytes: 0, pids: 0 },
};

export class MemoryJournal implements Journal {
  readonly entries = new Map<string, JournalEntry>();

  put(entry: JournalEntry): Promise<void> {
    this.entries.set(entry.uid, entry);
    return Promise.resolve();
  }

  delete(uid: string): Promise<void> {
    this.entries.delete(uid);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class FakeImages implements ImageStore {
  readonly states = new Map<string, ImageState>();
  readonly pulls = { succeeded: 0, failed: 0 };
  readonly #engine: FakeEngine;

  constructor(engine: FakeEngine) {
    this.#engine = engine;
  }

  async check({ key, reference }: ImageWant): Promise<void> {
    const info = await this.#engine.inspectImage(reference);
    this.states.set(key, info === undefined ? { kind: 'missing' } : { kind: 'present', info, pulled: false });
  }

  pull({ key, reference }: ImageWant): void {
    const info = this.#engine.registry.get(reference);
    if (info === undefined) {
      this.states.set(key, { kind: 'failed', message: 'none', retryAtMs: this.#engine.nowMs + 10_000 });
      return;
    }
    this.#engine.images.set(reference, info);
    this.states.set(key, { kind: 'present', info, pulled: true });
  }

  forget(key: string): void {
    this.states.delete(key);
  }

  pulling(): string[] {
    return [];
  }

  keepOnly(): void {
    // Nothing is collected here.
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}

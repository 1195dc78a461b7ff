/** The parts of an agent at work, wired together. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { instanceUidLabel } from '../api/names.ts';
import { reasons } from '../api/reasons.ts';
import { instances, providers } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import { createInformer } from '../client/kube-informer.ts';
import type { ControllerMetrics } from '../runtime/controller-metrics.ts';
import { createEventRecorder } from '../runtime/event-recorder.ts';
import type { EventRecorder } from '../runtime/event-recorder.ts';
import type { Logger } from '../runtime/logger.ts';
import { createManager } from '../runtime/manager.ts';
import type { Manager } from '../runtime/manager.ts';
import { Convergence } from './convergence.ts';
import { imageWant } from './desired-instance.ts';
import { startDiskUsage } from './disk-usage.ts';
import type { DiskUsage } from './disk-usage.ts';
import { EngineHealth } from './engine-health.ts';
import type { Engine } from './engine/engine.ts';
import type { WallState } from './engine/walls/wall-state.ts';
import { createImageStore } from './image-store.ts';
import type { ImageStore } from './image-store.ts';
import type { GuardedImages } from './images/guarded-images.ts';
import { ImageCollector } from './images/image-collector.ts';
import { ImagePuller } from './images/image-puller.ts';
import type { ImageRoom } from './images/image-puller.ts';
import { measureImage } from './images/measure-image.ts';
import { readCredentials } from './images/read-credentials.ts';
import { roomForImages } from './images/room-for-images.ts';
import { MachineWatch } from './inventory/machine-watch.ts';
import { readDisk, readMachine } from './inventory/machine.ts';
import type { Disk, Machine } from './inventory/machine.ts';
import type { Journal } from './journal/journal.ts';
import type { BandwidthLimits } from './limits/bandwidth/bandwidth-limits.ts';
import { offeredBandwidth } from './limits/bandwidth/offered-bandwidth.ts';
import { ownerPolicyCondition } from './owner-policy/policy-condition.ts';
import type { PolicyKeeper } from './owner-policy/policy-keeper.ts';
import { ObservedContainers } from './observed-containers.ts';
import { keepProviderLease } from './provider-lease.ts';
import type { ProviderLease } from './provider-lease.ts';
import type { Measured } from './provider-report.ts';
import { DiskWatch } from './limits/disk-watch.ts';
import { EnforcementProber } from './limits/probes/enforcement-prober.ts';
import { ProviderReporter } from './provider-reporter.ts';
import { readBtrfsUsage } from './usage/btrfs-disk-usage.ts';
import { ProviderUsage } from './usage/provider-usage.ts';
import type { AgentFacts } from './usage/usage-metrics.ts';
import { UsageMonitor } from './usage/usage-monitor.ts';

export interface RunningAgentOptions {
  client: Client;
  providerName: string;
  providerUid: string;
  /** As the API had it at the start. */
  provider: Provider;
  engine: Engine;
  /** Closed at the end. */
  journal: Journal;
  machine: Machine;
  /** `$POTLUCK_HOME`. */
  home: string;
  /** Of the pool's own engine; another one is its owner's business. */
  network?: PoolNetworkControl;
  /** Stopped at the end. */
  ownerPolicy: PolicyKeeper;
  guarded: GuardedImages;
  /** Whether unused images may be removed: not where the engine is somebody else's. */
  collectImages: boolean;
  /** Of the engine's network, a file for `nsenter`; absent: the machine's own. */
  engineNamespace?: string;
  /** Absent: nobody counts. */
  metrics?: ControllerMetrics;
  /** How often instances are measured; 10 s when absent. */
  usageIntervalMs?: number;
  logger: Logger;
}

/** What the pool's engine holds besides the engine's own limits. */
export interface PoolNetworkControl {
  /** A file for `nsenter`. */
  namespace: string;
  bandwidth: BandwidthLimits;
  walls: WallState;
}

/** Everything is looked at this often, whatever was heard of it. */
const resyncMs = 60_000;

export class RunningAgent {
  readonly #options: RunningAgentOptions;
  readonly #stopping = new AbortController();
  readonly #informer: Informer<Instance>;
  readonly #providerInformer: Informer<Provider>;
  readonly #observed: ObservedContainers;
  readonly #recorder: EventRecorder;
  readonly #images: ImageStore;
  readonly #collector: ImageCollector | undefined;
  readonly #diskUsage: DiskUsage;
  readonly #machine: MachineWatch;
  readonly #usage: UsageMonitor;
  readonly #providerUsage: ProviderUsage;
  readonly #health: EngineHealth;
  readonly #prober: EnforcementProber;
  readonly #diskWatch: DiskWatch;
  readonly #convergence: Convergence;
  readonly #manager: Manager;
  readonly #reporter: ProviderReporter;
  #provider: Provider;
  #lease: ProviderLease | undefined;
  #unlisten: (() => void) | undefined;
  #resync: Promise<void> = Promise.resolve();

  constructor(options: RunningAgentOptions) {
    const { client, providerName, providerUid, engine, journal, machine, ownerPolicy, logger } = options;
    this.#options = options;
    this.#provider = options.provider;
    const walls = options.network?.walls;
    const indexes = { uid: ({ metadata: { uid } }: Instance) => (uid === undefined ? [] : [uid]) };
    const fieldSelector = `status.assignment.providerUID=${providerUid}`;
    this.#informer = createInformer(client, instances, { fieldSelector, indexes, logger });
    this.#providerInformer = createInformer(client, providers, { fieldSelector: `metadata.name=${providerName}`, logger });
    this.#observed = new ObservedContainers(engine, providerUid);
    this.#recorder = createEventRecorder({ client, component: 'potluck-agent', instance: providerName, logger });
    const puller = this.#createPuller();
    this.#images = createImageStore({ engine, puller, onChange: (key) => this.#onImage(key), logger });
    if (options.collectImages) this.#collector = this.#startCollector();
    const containerIds = (): string[] => [...this.#observed.byInstance.values()].flat().map(({ id }) => id);
    this.#diskUsage = startDiskUsage({ engine, containerIds, readAll: (ids) => this.#readDiskUsage(ids) });
    this.#usage = new UsageMonitor({
      root: '/',
      containers: () => [...this.#observed.byInstance.values()].flat(),
      diskBytes: (id) => this.#diskWatch.writtenBytes(id) ?? this.#diskUsage.of(id),
      onNews: (id) => this.#onUsage(id),
      onTotalNews: () => this.#providerUsage.tellSoon(),
      ...(options.usageIntervalMs === undefined ? {} : { intervalMs: options.usageIntervalMs }),
    });
    this.#providerUsage = new ProviderUsage({
      client,
      logger,
      provider: () => this.#provider,
      usage: () => this.#usage.toldTotal(),
    });
    this.#reporter = new ProviderReporter({
      client,
      logger,
      provider: () => this.#provider,
      measure: () => this.#measure(),
      onOfferCut: (provider, sentence) => this.#recorder.record(provider, 'Warning', reasons.offerCut, sentence),
    });
    this.#machine = new MachineWatch({ machine, read: () => readMachine('/'), onChange: () => this.#onMachine(), logger });
    this.#health = new EngineHealth({
      engine,
      providerUid,
      logger,
      onReady: () => this.#observed.listAll(),
      afterReady: () => {
        this.#convergence.enqueueAll();
        this.#reporter.reportSoon();
      },
      onAbsent: () => this.#convergence.enqueueAll(),
      onEvent: (instanceUid) => {
        this.#observed.distrust(instanceUid);
        this.#convergence.enqueue(instanceUid);
      },
    });
    this.#prober = this.#makeProber();
    this.#diskWatch = this.#makeDiskWatch();
    this.#convergence = new Convergence({
      client,
      providerUid,
      informer: this.#informer,
      provider: () => this.#provider,
      engine,
      health: this.#health,
      observed: this.#observed,
      journal,
      images: this.#images,
      usage: (id) => this.#usage.told(id),
      topology: () => this.#machine.machine.topology,
      gpus: () => this.#machine.machine.gpus.map(({ id }) => id),
      recorder: this.#recorder,
      wallsDown: () => (walls === undefined || walls.standing ? undefined : walls.reason),
      disk: this.#diskWatch,
      policy: () => ownerPolicy.current().status,
    });
    const { metrics } = options;
    this.#manager = createManager({ logger, ...(metrics === undefined ? {} : { metrics }) });
    this.#manager.add(this.#convergence);
  }

  #makeProber(): EnforcementProber {
    const { engine, machine, network, home, logger } = this.#options;
    return new EnforcementProber({
      engine,
      info: () => (this.#health.isReady ? this.#health.info : undefined),
      kernelVersion: machine.kernelVersion,
      ...(network === undefined ? {} : { network }),
      path: join(home, 'agent', 'enforcement.json'),
      onChange: () => this.#reporter.reportSoon(),
      logger,
    });
  }

  #makeDiskWatch(): DiskWatch {
    const { home, ownerPolicy, logger } = this.#options;
    const instanceOf = (uid: string): Instance | undefined => this.#informer.byIndex('uid', uid)[0];
    return new DiskWatch({
      containers: () =>
        [...this.#observed.byInstance].flatMap(([instanceUid, containers]) => {
          const instance = instanceOf(instanceUid);
          const limitBytes = instance === undefined ? 0 : (this.#convergence.read(instance)?.resources.diskLimitBytes ?? 0);
          return containers.map((container) => ({ container, instanceUid, limitBytes }));
        }),
      layersHaveQuota: () => this.#health.diskQuota,
      paths: () => (this.#health.info === undefined ? [home] : [home, this.#health.info.dataRoot]),
      freeDisk: () => ownerPolicy.current().policy.freeDisk,
      onChange: (uid) => (uid === undefined ? this.#convergence.enqueueAll() : this.#convergence.enqueue(uid)),
      logger,
    });
  }

  start(): void {
    const { client, providerName, providerUid, journal, logger } = this.#options;
    this.#unlisten = this.#options.network?.walls.onChange(() => {
      this.#convergence.enqueueAll();
      this.#reporter.reportSoon();
    });
    this.#shapeAll();
    this.#lease = keepProviderLease({ client, providerName, providerUid, logger });
    this.#options.ownerPolicy.onChange(() => this.#onOwnerPolicy());
    this.#prober.start();
    this.#diskWatch.start();
    this.#manager.start();
    this.#health.start();
    this.#providerInformer.onChange((_key, provider) => this.#onProvider(provider));
    this.#providerInformer.start();
    this.#informer.start();
    this.#informer.whenSynced().then(
      () => this.#convergence.setSynced(),
      () => undefined,
    );
    this.#tellOfBrokenPolicy();
    this.#resync = this.#keepLooking();
    logger.info('the agent runs', { provider: providerName, knownInstances: journal.entries.size });
  }

  /** Containers go on running. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unlisten?.();
    await Promise.all([this.#options.ownerPolicy.stop(), this.#prober.stop(), this.#diskWatch.stop()]);
    await Promise.all([this.#resync, this.#informer.stop(), this.#providerInformer.stop(), this.#health.stop()]);
    await this.#manager.stop().catch((error: unknown) => this.#options.logger.warn('the agent stops in the middle of a step', { error }));
    await this.#usage.stop();
    await Promise.all([this.#collector?.stop(), this.#machine.stop()]);
    await Promise.all([this.#images.stop(), this.#diskUsage.stop(), this.#providerUsage.stop(), this.#reporter.stop()]);
    await Promise.all([this.#lease?.stop(), this.#recorder.stop()]);
    await this.#options.journal.close();
  }

  #onProvider(provider: Provider | undefined): void {
    if (provider?.metadata.uid !== this.#options.providerUid) return;
    const before = this.#provider;
    this.#provider = provider;
    // The lease's owner writes conditions all the time; only these decide what instances get.
    const relevant = ({ spec, status }: Provider): string => JSON.stringify([spec, status?.allocatable]);
    if (relevant(before) === relevant(provider)) return;
    this.#shapeAll();
    this.#convergence.enqueueAll();
    this.#reporter.reportSoon();
  }

  /** What is not taken up now is with the next upkeep of the engine. */
  #shapeAll(): void {
    const { network, logger } = this.#options;
    network?.bandwidth
      .setOffer(offeredBandwidth(this.#provider))
      .catch((error: unknown) => logger.warn('the bandwidth that is offered cannot be set yet', { error }));
  }

  #onOwnerPolicy(): void {
    this.#convergence.enqueueAll();
    this.#reporter.reportSoon();
    this.#tellOfBrokenPolicy();
  }

  #tellOfBrokenPolicy(): void {
    const { status, reason, message } = ownerPolicyCondition(this.#options.ownerPolicy.current());
    if (status === 'False') this.#recorder.record(this.#provider, 'Warning', reason, message);
  }

  /** What is served to Prometheus, as it is now. */
  facts(): AgentFacts {
    const all = this.#informer.list();
    const phases = Map.groupBy(all, ({ status }) => status?.phase ?? 'Pending');
    const instanceOf = (uid = ''): Instance | undefined => this.#informer.byIndex('uid', uid)[0];
    const limitOf = (instance: Instance | undefined): number =>
      instance === undefined ? 0 : (this.#convergence.read(instance)?.resources.diskLimitBytes ?? 0);
    return {
      measured: this.#usage.measured(),
      machine: this.#machine.machine,
      diskBytes: (id) => this.#diskUsage.of(id),
      diskLimitBytes: ({ labels }) => limitOf(instanceOf(labels[instanceUidLabel])),
      phases: new Map([...phases].map(([phase, { length }]) => [phase, length])),
      allocatable: this.#provider.status?.allocatable ?? {},
      used: this.#provider.status?.used ?? {},
      samplingSeconds: this.#usage.samplingSeconds,
      pulls: this.#images.pulls,
    };
  }

  #onMachine(): void {
    this.#reporter.reportSoon();
    this.#convergence.enqueueAll();
  }

  #onImage(key: string): void {
    for (const instance of this.#informer.list()) {
      const { uid } = instance.metadata;
      if (uid !== undefined && imageWant(instance).key === key) this.#convergence.enqueue(uid);
    }
  }

  #createPuller(): ImagePuller {
    const { client, engine, guarded, engineNamespace, machine } = this.#options;
    return new ImagePuller({
      engine,
      guarded: guarded,
      credentials: (want) => readCredentials(client, want),
      measure: (reference, credentials, signal) => {
        const question = { reference, architecture: machine.architecture, ...(credentials === undefined ? {} : { credentials }) };
        return measureImage(question, engineNamespace, signal);
      },
      room: () => this.#room(),
      onNoRoom: () => this.#collector?.lookSoon(),
    });
  }

  #startCollector(): ImageCollector {
    const { engine, guarded, logger } = this.#options;
    return new ImageCollector({
      engine,
      disk: () => this.#readDisk(),
      usedIds: () => this.#usedImages(),
      pulling: () => this.#images.pulling(),
      onRemoved: (id) => guarded.delete(id),
      logger,
      nowMs: () => Date.now(),
    });
  }

  /** By containers, and by instances that wait for one. */
  #usedImages(): string[] {
    const ofContainers = [...this.#observed.byInstance.values()].flat().map(({ imageId }) => imageId);
    const ofStates = [...this.#images.states.values()].flatMap((state) => (state.kind === 'present' ? state.info.id : []));
    return [...ofContainers, ...ofStates];
  }

  async #room(): Promise<ImageRoom> {
    return roomForImages(await this.#readDisk(), this.#provider.spec.maxImageSize);
  }

  async #readDiskUsage(ids: readonly string[]): Promise<ReadonlyMap<string, number> | undefined> {
    const { info } = this.#health;
    return info?.storageDriver === 'btrfs' ? readBtrfsUsage(info.dataRoot, ids) : undefined;
  }

  async #readDisk(): Promise<Disk> {
    const { dataRoot } = this.#health.info ?? (await this.#options.engine.info());
    return readDisk(dataRoot);
  }

  #onUsage(containerId: string): void {
    for (const [uid, containers] of this.#observed.byInstance) {
      if (containers.some(({ id }) => id === containerId)) this.#convergence.enqueue(uid);
    }
  }

  async #measure(): Promise<Measured> {
    const engine = this.#health.info ?? (await this.#options.engine.info());
    return {
      machine: this.#machine.machine,
      disk: await this.#readDisk(),
      engine,
      ownerPolicy: this.#options.ownerPolicy.current(),
      enforcement: this.#prober.current(),
    };
  }

  async #keepLooking(): Promise<void> {
    while (await delay(resyncMs, true, { signal: this.#stopping.signal }).catch(() => false)) {
      const wanted = new Set(this.#informer.list().map((instance) => imageWant(instance).key));
      this.#images.keepOnly((key) => wanted.has(key));
      if (this.#health.isReady) await this.#observed.listAll().catch((error: unknown) => this.#health.noteAbsence(error));
      this.#convergence.enqueueAll();
    }
  }
}

/**
 * A container engine without containers, for tests: keeps state, records calls, and fails where it is told to. The contract test holds it
 * to what dockerd does.
 */
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import { EngineError } from './engine.ts';
import type {
  ContainerLimits,
  ContainerSpec,
  Engine,
  EngineEvent,
  EngineEventOptions,
  EngineEventStream,
  EngineInfo,
  ImageInfo,
  ListedImage,
  ObservedContainer,
  PullOptions,
} from './engine.ts';

export interface FakeCall {
  method: keyof Engine;
  /** The container's id or name, or the image. */
  target: string;
}

export class FakeEngine implements Engine {
  readonly calls: FakeCall[] = [];
  readonly containers = new Map<string, ObservedContainer & { spec: ContainerSpec }>();
  readonly images = new Map<string, ImageInfo>();
  /** Images that a pull finds. */
  readonly registry = new Map<string, ImageInfo>();
  /** Thrown by the next call, once. */
  nextError: EngineError | undefined;
  /** Asked before each call; what it answers is thrown. */
  failWhen: (call: FakeCall) => EngineError | undefined = () => undefined;
  nowMs = 1_700_000_000_000;
  #watchers = new Set<EngineEventOptions>();
  #nextId = 1;

  info(): Promise<EngineInfo> {
    return this.#call('info', '', () => ({
      name: 'fake',
      version: '0',
      storageDriver: 'btrfs',
      dataRoot: '/',
      cgroupVersion: 2,
      runtimes: ['runc'],
      diskQuota: true,
      liveRestore: true,
      bandwidth: true,
      remapped: true,
    }));
  }

  listContainers(providerUid: string | undefined): Promise<ObservedContainer[]> {
    return this.#call('listContainers', providerUid ?? '', () =>
      [...this.containers.values()]
        .filter(({ labels }) => labels[providerLabel] !== undefined && (labels[providerLabel] === providerUid || providerUid === undefined))
        .map(copy),
    );
  }

  inspectContainer(idOrName: string): Promise<ObservedContainer | undefined> {
    return this.#call('inspectContainer', idOrName, () => {
      const container = this.#find(idOrName);
      return container === undefined ? undefined : copy(container);
    });
  }

  createContainer(spec: ContainerSpec): Promise<string> {
    return this.#call('createContainer', spec.name, () => {
      if (this.#find(spec.name) !== undefined) throw new EngineError('conflict', `the name ${spec.name} is in use`);
      const image = this.#image(spec.image);
      if (image === undefined) throw new EngineError('notFound', `no such image: ${spec.image}`);
      const id = String(this.#nextId++).padStart(64, '0');
      this.add({
        id,
        name: spec.name,
        labels: { ...spec.labels },
        image: spec.image,
        imageId: image.id,
        state: 'created',
        exitCode: 0,
        oomKilled: false,
        error: '',
        createdAtMs: this.nowMs,
        limits: { ...spec.limits },
        ...(spec.gpus === undefined ? {} : { gpus: spec.gpus }),
        spec,
      });
      this.#tell(id, 'create');
      return id;
    });
  }

  startContainer(id: string): Promise<void> {
    return this.#call('startContainer', id, () => {
      const container = this.#get(id);
      if (container.state === 'running') return;
      if (container.spec.workingDir === '/proc/none') {
        container.exitCode = 127;
        container.error = 'the working directory cannot be made';
        throw new EngineError('rejected', container.error);
      }
      Object.assign(container, { state: 'running', startedAtMs: this.nowMs, exitCode: 0, oomKilled: false, error: '' });
      delete container.finishedAtMs;
      this.#tell(id, 'start');
    });
  }

  stopContainer(id: string): Promise<void> {
    return this.#call('stopContainer', id, () => {
      if (isLive(this.#get(id))) this.end(id, { exitCode: 143 });
    });
  }

  killContainer(id: string): Promise<void> {
    return this.#call('killContainer', id, () => {
      if (isLive(this.#get(id))) this.end(id, { exitCode: 137 });
    });
  }

  removeContainer(id: string): Promise<void> {
    return this.#call('removeContainer', id, () => {
      const container = this.#find(id);
      if (container === undefined) return;
      if (isLive(container)) this.end(container.id, { exitCode: 137 });
      this.#tell(container.id, 'destroy');
      this.containers.delete(container.id);
    });
  }

  updateLimits(id: string, limits: ContainerLimits): Promise<void> {
    return this.#call('updateLimits', id, () => {
      this.#get(id).limits = { ...limits };
    });
  }

  inspectImage(reference: string): Promise<ImageInfo | undefined> {
    return this.#call('inspectImage', reference, () => this.#image(reference));
  }

  importImage(reference: string): Promise<void> {
    return this.#call('importImage', reference, () => {
      this.images.set(reference, { id: `sha256:${reference}`, sizeBytes: 1, digests: [] });
    });
  }

  pauseContainer(id: string): Promise<void> {
    return this.#call('pauseContainer', id, () => {
      const container = this.#get(id);
      if (container.state === 'running') container.state = 'paused';
    });
  }

  unpauseContainer(id: string): Promise<void> {
    return this.#call('unpauseContainer', id, () => {
      const container = this.#get(id);
      if (container.state === 'paused') container.state = 'running';
    });
  }

  listImages(): Promise<ListedImage[]> {
    return this.#call('listImages', '', () => {
      const byId = Map.groupBy(this.images, ([, { id }]) => id);
      return [...byId.values()].flatMap(([first, ...rest]) => {
        if (first === undefined) return [];
        return [{ ...first[1], tags: [first, ...rest].map(([name]) => name) }];
      });
    });
  }

  removeImage(id: string): Promise<void> {
    return this.#call('removeImage', id, () => {
      if ([...this.containers.values()].some(({ imageId }) => imageId === id)) throw new EngineError('conflict', `${id} is in use`);
      for (const [name, image] of this.images) if (image.id === id) this.images.delete(name);
    });
  }

  pullImage(reference: string, { onProgress }: PullOptions): Promise<void> {
    return this.#call('pullImage', reference, () => {
      const image = this.registry.get(reference);
      if (image === undefined) throw new EngineError('failed', `no registry has ${reference}`);
      onProgress({ downloadedBytes: image.sizeBytes, totalBytes: image.sizeBytes, layersDone: 1, layers: 1 });
      this.images.set(reference, image);
    });
  }

  watchEvents(options: EngineEventOptions): EngineEventStream {
    this.#watchers.add(options);
    options.onConnection(true);
    return {
      stop: () => {
        this.#watchers.delete(options);
        return Promise.resolve();
      },
    };
  }

  diskUsage(id: string): Promise<number | undefined> {
    return this.#call('diskUsage', id, () => (this.#find(id) === undefined ? undefined : 0));
  }

  /** As if someone had made it. */
  add(container: ObservedContainer & { spec: ContainerSpec }): void {
    this.containers.set(container.id, container);
  }

  /** The container's process ends by itself. */
  end(id: string, how: { exitCode: number; oomKilled?: boolean }): void {
    const container = this.#get(id);
    const { exitCode, oomKilled = false } = how;
    Object.assign(container, { state: 'exited', exitCode, oomKilled, finishedAtMs: this.nowMs });
    if (oomKilled) this.#tell(container.id, 'oom');
    this.#tell(container.id, 'die');
  }

  /** By name, or by a digest that it has. */
  #image(reference: string): ImageInfo | undefined {
    return this.images.get(reference) ?? [...this.images.values()].find(({ digests }) => digests.includes(reference));
  }

  #find(idOrName: string): (ObservedContainer & { spec: ContainerSpec }) | undefined {
    return this.containers.get(idOrName) ?? [...this.containers.values()].find(({ name }) => name === idOrName);
  }

  #get(id: string): ObservedContainer & { spec: ContainerSpec } {
    const container = this.#find(id);
    if (container === undefined) throw new EngineError('notFound', `no such container: ${id}`);
    return container;
  }

  #tell(containerId: string, action: string): void {
    const { labels } = this.#get(containerId);
    const event: EngineEvent = { containerId, instanceUid: labels[instanceUidLabel] ?? '', action, atMs: this.nowMs };
    for (const watcher of this.#watchers) if (labels[providerLabel] === watcher.providerUid) watcher.onEvent(event);
  }

  async #call<T>(method: keyof Engine, target: string, act: () => T): Promise<T> {
    const call = { method, target };
    this.calls.push(call);
    await Promise.resolve();
    const error = this.nextError ?? this.failWhen(call);
    this.nextError = undefined;
    if (error !== undefined) throw error;
    return act();
  }
}

function isLive({ state }: ObservedContainer): boolean {
  return state === 'running' || state === 'paused';
}

function copy(container: ObservedContainer): ObservedContainer {
  return structuredClone(container);
}

/** An engine whose containers have bandwidth limits too: what the engine itself cannot do, {@link BandwidthLimits} does beside it. */
import type { Bandwidth, BandwidthLimits } from '../limits/bandwidth/bandwidth-limits.ts';
import type {
  ContainerLimits,
  ContainerSpec,
  Engine,
  EngineEventOptions,
  EngineEventStream,
  EngineInfo,
  ImageInfo,
  ListedImage,
  ObservedContainer,
  PullOptions,
} from './engine.ts';

export class ShapedEngine implements Engine {
  readonly #engine: Engine;
  readonly #bandwidth: BandwidthLimits;

  constructor(engine: Engine, bandwidth: BandwidthLimits) {
    this.#engine = engine;
    this.#bandwidth = bandwidth;
  }

  async info(signal?: AbortSignal): Promise<EngineInfo> {
    return { ...(await this.#engine.info(signal)), bandwidth: true };
  }

  async listContainers(providerUid: string | undefined): Promise<ObservedContainer[]> {
    const containers = await this.#engine.listContainers(providerUid);
    return Promise.all(containers.map((container) => this.#withBandwidth(container)));
  }

  async inspectContainer(idOrName: string): Promise<ObservedContainer | undefined> {
    const container = await this.#engine.inspectContainer(idOrName);
    return container === undefined ? undefined : this.#withBandwidth(container);
  }

  /** A crash in between leaves a container that is within the offer only, and whose limits are seen to differ before it is started. */
  async createContainer(spec: ContainerSpec): Promise<string> {
    const id = await this.#engine.createContainer(spec);
    await this.#bandwidth.apply(id, bandwidthOf(spec.limits));
    return id;
  }

  startContainer(id: string): Promise<void> {
    return this.#engine.startContainer(id);
  }

  stopContainer(id: string, graceSeconds: number): Promise<void> {
    return this.#engine.stopContainer(id, graceSeconds);
  }

  killContainer(id: string): Promise<void> {
    return this.#engine.killContainer(id);
  }

  async removeContainer(id: string): Promise<void> {
    await this.#engine.removeContainer(id);
    await this.#bandwidth.forget(id);
  }

  async updateLimits(id: string, limits: ContainerLimits): Promise<void> {
    await this.#engine.updateLimits(id, limits);
    await this.#bandwidth.apply(id, bandwidthOf(limits));
  }

  inspectImage(reference: string): Promise<ImageInfo | undefined> {
    return this.#engine.inspectImage(reference);
  }

  pullImage(reference: string, options: PullOptions): Promise<void> {
    return this.#engine.pullImage(reference, options);
  }

  importImage(reference: string, tar: Uint8Array): Promise<void> {
    return this.#engine.importImage(reference, tar);
  }

  listImages(): Promise<ListedImage[]> {
    return this.#engine.listImages();
  }

  removeImage(id: string): Promise<void> {
    return this.#engine.removeImage(id);
  }

  pauseContainer(id: string): Promise<void> {
    return this.#engine.pauseContainer(id);
  }

  unpauseContainer(id: string): Promise<void> {
    return this.#engine.unpauseContainer(id);
  }

  watchEvents(options: EngineEventOptions): EngineEventStream {
    return this.#engine.watchEvents(options);
  }

  diskUsage(id: string): Promise<number | undefined> {
    return this.#engine.diskUsage(id);
  }

  async #withBandwidth(container: ObservedContainer): Promise<ObservedContainer> {
    const limits = { ...container.limits };
    // What was asked for is not what is there.
    delete limits.ingressBitsPerSecond;
    delete limits.egressBitsPerSecond;
    return { ...container, limits: { ...limits, ...(await this.#bandwidth.applied(container.id)) } };
  }
}

function bandwidthOf({ ingressBitsPerSecond, egressBitsPerSecond }: ContainerLimits): Bandwidth {
  return {
    ...(ingressBitsPerSecond === undefined ? {} : { ingressBitsPerSecond }),
    ...(egressBitsPerSecond === undefined ? {} : { egressBitsPerSecond }),
  };
}

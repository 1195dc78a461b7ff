/** The container engine over Docker's API. The only importer of dockerode. */
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import Docker from 'dockerode';
import { providerLabel } from '../../api/names.ts';
import { parseTime } from '../../api/time.ts';
import { dockerCreateBody, dockerLimits, limitsFromDocker } from './container-spec.ts';
import { classify, withDeadline } from './docker-call.ts';
import { hasDiskQuota } from './disk-quota.ts';
import { watchDockerEvents } from './docker-events.ts';
import { readPull } from './docker-pull.ts';
import { EngineError, engineErrorKind } from './engine.ts';
import type {
  ContainerLimits,
  ContainerSpec,
  ContainerState,
  Engine,
  EngineEventOptions,
  EngineEventStream,
  EngineInfo,
  ImageInfo,
  ListedImage,
  ObservedContainer,
  PullOptions,
} from './engine.ts';

/** An engine that takes longer for a small thing is as good as away. */
const callTimeoutMs = 30_000;
/** A start waits for the disk and for the runtime on a busy laptop. */
const startTimeoutMs = 120_000;
/** Containers that are inspected at once while listing. */
const inspectsAtOnce = 8;

/** `socketPath` of dockerd; nothing is connected before the first call. */
export function createDockerEngine(socketPath: string): Engine {
  return new DockerEngine(new Docker({ socketPath }));
}

class DockerEngine implements Engine {
  readonly #docker: Docker;

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  async info(signal?: AbortSignal): Promise<EngineInfo> {
    const info = await withDeadline(callTimeoutMs, () => this.#docker.info() as Promise<DockerInfo>, signal);
    const backing = info.DriverStatus?.find(([name]) => name === 'Backing Filesystem')?.[1];
    return {
      name: 'docker',
      version: info.ServerVersion,
      storageDriver: info.Driver,
      dataRoot: info.DockerRootDir,
      cgroupVersion: info.CgroupVersion === '2' ? 2 : 1,
      runtimes: Object.keys(info.Runtimes ?? {}).sort(),
      diskQuota: hasDiskQuota({ driver: info.Driver, backing, dataRoot: info.DockerRootDir, mountInfo: await mountInfo() }),
      liveRestore: info.LiveRestoreEnabled === true,
      remapped: info.SecurityOptions?.some((option) => option === 'name=userns') === true,
    };
  }

  async listContainers(providerUid: string | undefined): Promise<ObservedContainer[]> {
    const filters = { label: [providerUid === undefined ? providerLabel : `${providerLabel}=${providerUid}`] };
    const listed = await withDeadline(callTimeoutMs, (abortSignal) => this.#docker.listContainers({ all: true, filters, abortSignal }));
    const ids = listed.map(({ Id }) => Id);
    const found: ObservedContainer[] = [];
    const worker = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const container = await this.inspectContainer(id);
        if (container !== undefined) found.push(container);
      }
    };
    await Promise.all(Array.from({ length: inspectsAtOnce }, worker));
    return found;
  }

  async inspectContainer(idOrName: string): Promise<ObservedContainer | undefined> {
    return unlessMissing(async () => {
      const container = this.#docker.getContainer(encodeURIComponent(idOrName));
      return observed(await withDeadline(callTimeoutMs, (abortSignal) => container.inspect({ abortSignal })));
    });
  }

  async createContainer(spec: ContainerSpec): Promise<string> {
    const { name, ...body } = dockerCreateBody(spec);
    // Without these two members dockerode would put the whole body into the URL as well, where a long environment does not fit.
    const options = { _query: { name }, _body: body } as unknown as Docker.ContainerCreateOptions;
    const container = await withDeadline(callTimeoutMs, (abortSignal) => this.#docker.createContainer({ ...options, abortSignal }));
    return container.id;
  }

  async startContainer(id: string): Promise<void> {
    await unlessSo(() =>
      withDeadline(startTimeoutMs, (abortSignal) => this.#docker.getContainer(id).start({ abortSignal }) as Promise<unknown>),
    );
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const timeoutMs = callTimeoutMs + graceSeconds * 1000;
    await unlessSo(() =>
      withDeadline(timeoutMs, (abortSignal) => this.#docker.getContainer(id).stop({ t: graceSeconds, abortSignal }) as Promise<unknown>),
    );
  }

  async killContainer(id: string): Promise<void> {
    await unlessSo(() =>
      withDeadline(callTimeoutMs, (abortSignal) => this.#docker.getContainer(id).kill({ abortSignal }) as Promise<unknown>),
    );
  }

  async pauseContainer(id: string): Promise<void> {
    const container = this.#docker.getContainer(id);
    await unlessSo(() => withDeadline(callTimeoutMs, (abortSignal) => container.pause({ abortSignal }) as Promise<unknown>));
  }

  async unpauseContainer(id: string): Promise<void> {
    const container = this.#docker.getContainer(id);
    await unlessSo(async () => {
      // Docker answers 500 for one that is not paused, as for anything else that goes wrong.
      if ((await this.inspectContainer(id))?.state !== 'paused') return;
      await withDeadline(callTimeoutMs, (abortSignal) => container.unpause({ abortSignal }) as Promise<unknown>);
    });
  }

  async removeContainer(id: string): Promise<void> {
    await unlessMissing(() =>
      withDeadline(
        startTimeoutMs,
        (abortSignal) => this.#docker.getContainer(id).remove({ force: true, v: true, abortSignal }) as Promise<unknown>,
      ),
    );
  }

  async updateLimits(id: string, limits: ContainerLimits): Promise<void> {
    const body = dockerLimits(limits);
    await withDeadline(callTimeoutMs, (abortSignal) => this.#docker.getContainer(id).update({ ...body, abortSignal }) as Promise<unknown>);
  }

  async inspectImage(reference: string): Promise<ImageInfo | undefined> {
    return unlessMissing(async () => {
      const image = this.#docker.getImage(encodeURIComponent(reference));
      const info = await withDeadline(callTimeoutMs, (abortSignal) => image.inspect({ abortSignal } as object));
      // The types do not say that Docker writes null.
      const { Volumes: declared } = info.Config as { Volumes?: Record<string, unknown> | null };
      const volumes = Object.keys(declared ?? {});
      return { id: info.Id, sizeBytes: info.Size, digests: info.RepoDigests, ...(volumes.length === 0 ? {} : { volumes }) };
    });
  }

  async pullImage(reference: string, { onProgress, signal, credentials }: PullOptions): Promise<void> {
    try {
      const authconfig = credentials === undefined ? {} : { authconfig: { ...credentials, serveraddress: '' } };
      const stream = await this.#docker.pull(withTag(reference), { abortSignal: signal, ...authconfig });
      await readPull(stream, onProgress, signal);
    } catch (error) {
      throw classify(error);
    }
  }

  async importImage(reference: string, tar: Uint8Array): Promise<void> {
    const [repo, tag] = reference.split(':');
    try {
      const stream = await this.#docker.importImage(Readable.from([tar]), { repo, tag } as object);
      for await (const line of stream as AsyncIterable<Buffer>) {
        const said = /"error":"([^"]*)"/.exec(line.toString())?.[1];
        if (said !== undefined) throw new EngineError('failed', said);
      }
    } catch (error) {
      throw classify(error);
    }
  }

  async listImages(): Promise<ListedImage[]> {
    const listed = await withDeadline(callTimeoutMs, (abortSignal) => this.#docker.listImages({ abortSignal } as object));
    return listed.map(({ Id, Size, RepoTags, RepoDigests }) => ({
      id: Id,
      sizeBytes: Size,
      tags: named(RepoTags),
      digests: named(RepoDigests),
    }));
  }

  async removeImage(id: string): Promise<void> {
    const image = (await this.listImages()).find((each) => each.id === id);
    if (image === undefined) return;
    // By id it would have to be forced where there are several names, and force takes it from stopped containers too.
    for (const name of [...image.tags, ...image.digests, id]) {
      await unlessMissing(() =>
        withDeadline(startTimeoutMs, (abortSignal) =>
          this.#docker.getImage(encodeURIComponent(name)).remove({ force: false, noprune: false, abortSignal } as object),
        ),
      );
    }
  }

  watchEvents(options: EngineEventOptions): EngineEventStream {
    return watchDockerEvents(this.#docker, options);
  }

  async diskUsage(id: string): Promise<number | undefined> {
    return unlessMissing(async () => {
      const container = this.#docker.getContainer(id);
      const options = { size: true };
      const info = await withDeadline(
        startTimeoutMs,
        (abortSignal) => container.inspect({ ...options, abortSignal } as object) as Promise<{ SizeRw?: number }>,
      );
      return info.SizeRw ?? 0;
    });
  }
}

/** What dockerode's types call `any`. */
interface DockerInfo {
  ServerVersion: string;
  Driver: string;
  DriverStatus?: [string, string][];
  DockerRootDir: string;
  CgroupVersion?: string;
  Runtimes?: Record<string, unknown>;
  LiveRestoreEnabled?: boolean;
  SecurityOptions?: string[];
}

/** Of this machine; an engine elsewhere has other mounts, and then none is found. */
async function mountInfo(): Promise<string> {
  return readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
}

async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (engineErrorKind(error) === 'notFound') return undefined;
    throw error;
  }
}

/** Docker lists nameless images as `<none>`. */
function named(names: readonly string[] | null | undefined): string[] {
  return (names ?? []).filter((name) => !name.includes('<none>'));
}

/** For calls that find the container where they would bring it. */
async function unlessSo(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (engineErrorKind(error) !== 'conflict') throw error;
  }
}

/** Without a tag Docker would pull every tag there is. */
function withTag(reference: string): string {
  const name = reference.slice(reference.lastIndexOf('/') + 1);
  return name.includes(':') || name.includes('@') ? reference : `${reference}:latest`;
}

function observed(info: Docker.ContainerInspectInfo): ObservedContainer {
  const { State: state } = info;
  const startedAtMs = engineTime(state.StartedAt);
  const finishedAtMs = engineTime(state.FinishedAt);
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ''),
    labels: info.Config.Labels,
    image: info.Config.Image,
    imageId: info.Image,
    state: state.Status as ContainerState,
    writes: writesOf(info),
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    error: (state as { Error?: string }).Error ?? '',
    createdAtMs: engineTime(info.Created) ?? 0,
    ...(state.Pid === 0 ? {} : { pid: state.Pid }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(finishedAtMs === undefined ? {} : { finishedAtMs }),
    limits: limitsFromDocker(info.HostConfig as Parameters<typeof limitsFromDocker>[0]),
    ...gpusOf(info.HostConfig),
  };
}

function gpusOf({ DeviceRequests }: Docker.HostConfig): { gpus?: readonly string[] } {
  const ids = (DeviceRequests ?? []).flatMap(({ DeviceIDs }) => DeviceIDs ?? []);
  return ids.length === 0 ? {} : { gpus: ids };
}

/** Only overlay2 has a plain directory for the layer. */
function writesOf({ GraphDriver, Mounts }: Docker.ContainerInspectInfo): NonNullable<ObservedContainer['writes']> {
  const layer = (GraphDriver.Data as { UpperDir?: string } | null)?.UpperDir;
  const volumes = Mounts.filter(({ Type }) => Type === 'volume').map(({ Source }) => Source);
  return { ...(layer === undefined ? {} : { layer }), volumes };
}

/** Docker writes the year 1 for never. */
function engineTime(text: string): number | undefined {
  const ms = parseTime(text);
  return ms === undefined || ms < 0 ? undefined : ms;
}

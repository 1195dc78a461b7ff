/**
 * A whole pool of real parts for tests: etcd, API server, controller and agents as processes of their own, each agent with the pool's own
 * engine in its own network namespace. Every part can be killed and started again by name.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import type { Instance } from '../../api/generated/instance.ts';
import { instanceUidLabel } from '../../api/names.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import { startEtcd } from './etcd.ts';
import type { TestEtcd } from './etcd.ts';
import { eventually } from './eventually.ts';
import { importTestImage, testImage } from './image.ts';
import { freePort } from './free-port.ts';
import { runKubectl } from './kubectl.ts';
import type { KubectlResult } from './kubectl.ts';
import { realTimers, startPotluck, underClock } from './processes.ts';
import type { TestProcess } from './processes.ts';

export interface ProviderOptions {
  name: string;
  region?: string;
  latitude?: number;
  longitude?: number;
  offer?: Record<string, string>;
  /** How far the machine's clock is from ours, as faketime takes it: `+10m`. */
  clockOffset?: string;
}

export interface PoolOptions {
  providers: readonly ProviderOptions[];
  /** Another name or address in the certificate of the API. */
  extraName?: string;
  /** As the controller's `--cluster-signing-duration`. */
  certificateLife?: string;
}

/** A part that can be killed; `agent` and `dockerd` are the first provider's. */
export type Part = 'api' | 'controller' | 'agent' | 'etcd' | 'dockerd';

export interface OurContainer {
  id: string;
  instanceUid: string;
  running: boolean;
}

interface TestProvider {
  readonly name: string;
  readonly home: string;
  readonly agent: TestProcess;
  readonly engine: Docker;
}

const mainFile = join(import.meta.dirname, '../../cli/main.ts');

export async function startTestPool(options: PoolOptions): Promise<TestPool> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-pool-'));
  const pool = new TestPool(home);
  try {
    await pool.start(options);
  } catch (error) {
    const logs = await pool.logs();
    await pool.stop().catch(() => undefined);
    throw new Error(`the test pool did not start: ${String(error)}\n${logs}`, { cause: error });
  }
  return pool;
}

export class TestPool {
  readonly home: string;
  readonly providers: TestProvider[] = [];
  #etcd: TestEtcd | undefined;
  #api: TestProcess | undefined;
  #controller: TestProcess | undefined;
  #client: Client | undefined;

  constructor(home: string) {
    this.home = home;
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error('the pool is not started');
    return this.#client;
  }

  get kubeconfig(): string {
    return join(this.home, 'kubeconfig');
  }

  /** The URL of the API, on this machine. */
  async server(): Promise<string> {
    return currentEntries(await loadKubeconfig(this.kubeconfig)).cluster.server;
  }

  async start(options: PoolOptions): Promise<void> {
    this.#etcd = await startEtcd();
    const listen = `127.0.0.1:${await freePort()}`;
    const etcd = ['--etcd-servers', this.#etcd.endpoint];
    const names = options.extraName === undefined ? [] : ['--extra-names', options.extraName];
    const signing = options.certificateLife === undefined ? [] : ['--cluster-signing-duration', options.certificateLife];
    const common = ['--home', this.home, '--log-level', 'debug'];
    this.#api = await startPotluck(
      'api',
      ['server', '--components=api', '--listen', listen, ...etcd, ...common, ...names],
      this.#log('api'),
    );
    await this.#untilReady(listen);
    this.#controller = await startPotluck(
      'controller',
      ['server', '--components=controller', ...common, ...signing],
      this.#log('controller'),
    );
    this.#client = createClient({ kubeconfig: this.kubeconfig, userAgent: 'potluck-test' });
    await Promise.all(options.providers.map((provider) => this.#addProvider(provider, `https://${listen}`)));
    await eventually(() => this.#assertProvidersReady(), { timeoutMs: 60_000, what: 'every provider to be Ready' });
  }

  async #untilReady(listen: string): Promise<void> {
    await eventually(
      async () => {
        const answer = await this.kubectl(['get', '--raw', '/readyz'], { timeoutMs: 5_000 });
        if (answer.code !== 0) throw new Error(answer.stderr);
        const crds = await this.kubectl(['get', 'instances.potluck.dev,providers.potluck.dev'], { timeoutMs: 5_000 });
        if (crds.code !== 0) throw new Error(crds.stderr);
      },
      { timeoutMs: 30_000, what: `the API server on ${listen}`, intervalMs: 200 },
    );
  }

  async #addProvider(options: ProviderOptions, server: string): Promise<void> {
    const home = join(this.home, 'providers', options.name);
    await this.#join(options, home, server);
    const args = ['agent', '--home', home, '--log-level', 'debug'];
    const agent = await startPotluck(`agent-${options.name}`, args, this.#log(`agent-${options.name}`), {
      clockOffset: options.clockOffset,
    });
    const engine = new Docker({ socketPath: join(home, 'engine', 'docker.sock') });
    this.providers.push({ name: options.name, home, agent, engine });
    await eventually(() => engine.ping(), { timeoutMs: 60_000, what: `the engine of ${options.name}`, intervalMs: 100 });
    await importTestImage(join(home, 'engine', 'docker.sock'));
  }

  /** By the real commands, as a machine somewhere else would. */
  async #join(options: ProviderOptions, home: string, server: string): Promise<void> {
    const { name, region, latitude, longitude, offer, clockOffset } = options;
    const create = ['token', 'create', '--owner', 'tests', '--server', server, '-o', 'json', '--kubeconfig', this.kubeconfig];
    const invitation = (JSON.parse(await this.#run(create)) as { token: string }).token;
    const amounts = Object.entries(offer ?? { cpu: '2', memory: '4Gi', disk: '4Gi' }).map(([resource, amount]) => `${resource}=${amount}`);
    const place = { region, latitude, longitude };
    const placeFlags = Object.entries(place).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`]));
    const flags = ['--name', name, '--offer', amounts.join(','), ...placeFlags, '--home', home, '--no-agent'];
    await this.#run(['join', server, invitation, ...flags], clockOffset);
  }

  /** Runs a command of ours to its end and answers what it printed; throws when it fails. */
  potluck(...args: string[]): Promise<string> {
    return this.#run(args);
  }

  async #run(args: readonly string[], clockOffset?: string): Promise<string> {
    const [command, ...rest] = underClock(clockOffset, [process.execPath, mainFile, ...args]);
    const { stdout } = await promisify(execFile)(command, rest, { timeout: 60_000, env: { ...process.env, ...realTimers } });
    return stdout;
  }

  async #assertProvidersReady(): Promise<void> {
    for (const { name } of this.providers) {
      const { status } = await this.client.get(providers, { name });
      if (status?.phase !== 'Ready') throw new Error(`${name} is ${status?.phase ?? 'without a phase'}`);
    }
  }

  kubectl(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<KubectlResult> {
    return runKubectl(this.kubeconfig, args, options);
  }

  get(name: string): Promise<Instance> {
    return this.client.get(instances, { namespace: 'default', name });
  }

  untilPhase(name: string, phase: string, timeoutMs = 30_000): Promise<Instance> {
    return eventually(
      async () => {
        const instance = await this.get(name);
        if (instance.status?.phase !== phase) {
          const ready = instance.status?.conditions?.find((condition) => condition.type === 'Ready');
          throw new Error(`${name} is ${instance.status?.phase ?? 'without a phase'}: ${ready?.reason ?? ''} ${ready?.message ?? ''}`);
        }
        return instance;
      },
      { timeoutMs, what: `${name} to be ${phase}`, intervalMs: 100 },
    );
  }

  /** Resolves with the first state of the instance that fits; watches, so that a bench does not measure polling. */
  async watchUntil(name: string, fits: (instance: Instance) => boolean, timeoutMs: number): Promise<Instance> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new Error(`${name} did not get there in ${timeoutMs} ms`)), timeoutMs);
    try {
      return await new Promise((resolve, reject) => {
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error));
        const onEvent = (event: { type: string; object?: Instance }): void => {
          if (event.object !== undefined && fits(event.object)) resolve(event.object);
        };
        this.client
          .watch(instances, {
            namespace: 'default',
            fieldSelector: `metadata.name=${name}`,
            resourceVersion: '0',
            signal: stop.signal,
            onEvent,
          })
          .catch(reject);
      });
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
  }

  async untilGone(name: string, timeoutMs = 30_000): Promise<void> {
    await eventually(
      async () => {
        const found = await this.get(name).catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
        if (found !== undefined) throw new Error(`${name} is still there`);
      },
      { timeoutMs, what: `${name} to be gone`, intervalMs: 50 },
    );
  }

  /** All containers of ours on one provider's engine, whatever their state. */
  async containers(provider: string): Promise<OurContainer[]> {
    const listed = await this.#provider(provider).engine.listContainers({ all: true, filters: { label: [instanceUidLabel] } });
    return listed.map((container) => ({
      id: container.Id,
      instanceUid: container.Labels[instanceUidLabel] ?? '',
      running: container.State === 'running',
    }));
  }

  async inspect(provider: string, instanceUid: string): Promise<ContainerInspectInfo> {
    const found = (await this.containers(provider)).filter((container) => container.instanceUid === instanceUid);
    if (found.length !== 1) throw new Error(`${found.length} containers of ${instanceUid} on ${provider}`);
    return this.#provider(provider)
      .engine.getContainer(found[0]?.id ?? '')
      .inspect();
  }

  /** The most processes seen in the container's pids cgroup while `windowMs` passed. */
  async peakProcesses(provider: string, instanceUid: string, windowMs: number): Promise<number> {
    let peak = 0;
    const until = performance.now() + windowMs;
    while (performance.now() < until) {
      const stats = await this.#stats(provider, instanceUid).catch(() => undefined);
      peak = Math.max(peak, stats?.pids_stats?.current ?? 0);
      await delay(50);
    }
    return peak;
  }

  async cpuCoresUsed(provider: string, instanceUid: string, windowMs: number): Promise<number> {
    const before = await this.#stats(provider, instanceUid);
    const startedMs = performance.now();
    await delay(windowMs);
    const after = await this.#stats(provider, instanceUid);
    const usedMs = (after.cpu_stats.cpu_usage.total_usage - before.cpu_stats.cpu_usage.total_usage) / 1e6;
    return usedMs / (performance.now() - startedMs);
  }

  async #stats(provider: string, instanceUid: string): Promise<Docker.ContainerStats> {
    const { Id } = await this.inspect(provider, instanceUid);
    return this.#provider(provider).engine.getContainer(Id).stats({ stream: false, 'one-shot': true });
  }

  /** Milliseconds that a bare create and start of the same image take through the engine's own API. */
  async timeBareStart(provider: string): Promise<number> {
    const { engine } = this.#provider(provider);
    const startedMs = performance.now();
    const container = await engine.createContainer({ Image: testImage, Cmd: ['sleep', '1000000'] });
    await container.start();
    await container.inspect();
    const elapsedMs = performance.now() - startedMs;
    await container.remove({ force: true });
    return elapsedMs;
  }

  pids(): Record<string, number> {
    return {
      etcd: this.#part(this.#etcd).pid,
      api: this.#part(this.#api).pid,
      controller: this.#part(this.#controller).pid,
      ...Object.fromEntries(this.providers.map(({ name, agent }) => [`agent ${name}`, agent.pid])),
    };
  }

  async killHard(part: Part): Promise<void> {
    switch (part) {
      case 'etcd':
        return this.#part(this.#etcd).kill('SIGKILL');
      case 'api':
        return this.#part(this.#api).killHard();
      case 'controller':
        return this.#part(this.#controller).killHard();
      case 'agent':
        return this.#part(this.providers[0]).agent.killHard();
      case 'dockerd':
        process.kill(await this.#dockerdPid(), 'SIGKILL');
    }
  }

  /** `dockerd` is brought back by its agent. */
  async restart(part: Part): Promise<void> {
    switch (part) {
      case 'etcd':
        return this.#part(this.#etcd).restart();
      case 'api':
        this.#part(this.#api).restart();
        return;
      case 'controller':
        this.#part(this.#controller).restart();
        return;
      case 'agent':
        this.#part(this.providers[0]).agent.restart();
        return;
      case 'dockerd':
        await eventually(() => this.#part(this.providers[0]).engine.ping(), { timeoutMs: 60_000, what: 'the agent to bring dockerd back' });
    }
  }

  async #dockerdPid(): Promise<number> {
    return Number(await readFile(join(this.#part(this.providers[0]).home, 'engine', 'dockerd.pid'), 'utf8'));
  }

  #provider(name: string): TestProvider {
    return this.#part(this.providers.find((provider) => provider.name === name));
  }

  #part<T>(part: T | undefined): T {
    if (part === undefined) throw new Error('the pool has no such part');
    return part;
  }

  #log(name: string): string {
    return join(this.home, 'logs', `${name}.log`);
  }

  /** The last lines of every part, for a failure's message. */
  async logs(): Promise<string> {
    const names = ['api', 'controller', ...this.providers.map(({ name }) => `agent-${name}`)];
    const tails = names.map(async (name) => {
      const text = await readFile(this.#log(name), 'utf8').catch(() => '');
      return `--- ${name}\n${text.split('\n').slice(-15).join('\n')}`;
    });
    return (await Promise.all(tails)).join('\n');
  }

  /** Stops every process and removes every trace of the engines. */
  async stop(): Promise<void> {
    await Promise.all(this.providers.map(({ agent }) => agent.stop()));
    await this.#controller?.stop();
    await this.#api?.stop();
    await this.#etcd?.stop();
    for (const { name, home } of this.providers) {
      const purge = await startPotluck(`purge-${name}`, ['down', '--purge', '--home', home], this.#log(`purge-${name}`));
      const code = await eventually(() => this.#exited(purge), { timeoutMs: 60_000, what: `the purge of ${name}` });
      if (code !== 0) throw new Error(`down --purge of ${name} failed:\n${await readFile(this.#log(`purge-${name}`), 'utf8')}`);
    }
    await rm(this.home, { recursive: true, force: true });
  }

  #exited(purge: TestProcess): Promise<number | null> {
    if (purge.running) throw new Error('it still runs');
    return purge.stop();
  }
}

import { rm } from 'node:fs/promises';
import type { Provider } from '../../api/generated/provider.ts';
import { providers } from '../../api/resource-type.ts';
import { createClient, type KubeClient } from '../../client/kube-client.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { stopPoolEngine } from '../../node-agent/engine/pool-engine.ts';
import { stopInstances } from '../../node-agent/stop-instances.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { HostPort } from '../command-line/host-port.ts';
import { parseEngine } from '../engine-flag.ts';
import { abortable } from '../abortable.ts';
import { seedImages } from '../images/seed-images.ts';
import { untilTrue } from '../until-true.ts';
import { enrolOwnMachine } from './enrol-own-machine.ts';
import { explainFailure } from './failure.ts';
import { superviseAgent, superviseServer } from './own-processes.ts';
import type { PoolPaths } from './pool-paths.ts';
import type { Progress } from './progress.ts';
import { prepareEtcd, type EtcdAccess } from './supervised-etcd.ts';

export interface PoolOptions {
  paths: PoolPaths;
  /** A real port. */
  listen: HostPort;
  advertiseAddress: string | undefined;
  /** An etcd that somebody else runs; the pool starts its own where absent. */
  etcd: EtcdAccess | undefined;
  /** As given to `--engine`. */
  engine: string;
  /** File of the machine's owner; the agent looks at it. */
  ownerPolicy: string;
  provider: string | undefined;
  owner: string | undefined;
  rootfs: string | undefined;
}

export interface RunningPool {
  client: KubeClient;
  provider: Provider;
  socketPath: string;
  /** Everything, in order; says what it does. Never rejects: what cannot be stopped is said, and the rest is stopped. */
  stop(): Promise<void>;
}

export interface StartContext {
  progress: Progress;
  logger: Logger;
  /** Ends the start; what was started is stopped. */
  signal: AbortSignal;
}

const serverReadyMs = 60_000;
const engineReadyMs = 90_000;
const providerReadyMs = 60_000;

/** Starts everything on this machine, each part when what it needs is ready. When one fails, what runs is stopped and the cause thrown. */
export async function startPool(options: PoolOptions, context: StartContext): Promise<RunningPool> {
  const undo = new UndoStack(context);
  try {
    const etcd = options.etcd ?? (await startEtcd(options, context, undo));
    const client = await startServer(options, etcd, context, undo);
    const provider = await enrolMachine(options, client, context);
    const socketPath = await startAgent(options, provider, context, undo);
    await seedImages({ socketPath, directory: options.paths.images, rootfs: options.rootfs, ...context });
    await context.progress.step('provider ready', () => untilProviderReady(client, provider, context.signal));
    return { client, provider, socketPath, stop: () => undo.run() };
  } catch (error) {
    await undo.run();
    throw explainFailure(error);
  }
}

async function startEtcd({ paths }: PoolOptions, { progress, logger, signal }: StartContext, undo: UndoStack): Promise<EtcdAccess> {
  const { access, child } = await prepareEtcd(paths, logger);
  undo.add('etcd', () => child.stop());
  await progress.step('etcd', () => abortable(child.start(), signal));
  return access;
}

async function startServer(options: PoolOptions, etcd: EtcdAccess, context: StartContext, undo: UndoStack): Promise<KubeClient> {
  const { paths, listen, advertiseAddress } = options;
  const { progress, logger, signal } = context;
  // Of the last start; it may name another port.
  await rm(paths.kubeconfig, { force: true });
  const client = createClient({ kubeconfig: paths.kubeconfig, userAgent: 'potluck-up/0.1.0' });
  const check = async (): Promise<boolean> => {
    await client.list(providers, { signal, timeoutMs: 5_000 });
    return true;
  };
  const readiness = { check, timeoutMs: serverReadyMs, intervalMs: 50 };
  const child = superviseServer({ paths, listen, advertiseAddress, etcd, readiness, logger });
  undo.add('API server and controller', async () => {
    client.close();
    await child.stop();
  });
  await progress.step('API server and controller', () => abortable(child.start(), signal));
  return client;
}

async function enrolMachine(options: PoolOptions, client: KubeClient, context: StartContext): Promise<Provider> {
  const { paths, listen, engine, ownerPolicy, owner, provider } = options;
  const host = ['0.0.0.0', '::'].includes(listen.host) ? '127.0.0.1' : listen.host;
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${listen.port}`);
  return context.progress.step('this machine joined', () =>
    enrolOwnMachine({ paths, client, server, name: provider, owner, engine, ownerPolicy, signal: context.signal }),
  );
}

/** Answers the socket of the engine. */
async function startAgent(options: PoolOptions, provider: Provider, context: StartContext, undo: UndoStack): Promise<string> {
  const { paths, engine } = options;
  const { progress, logger, signal } = context;
  const parsed = parseEngine(engine);
  const socketPath = parsed === 'pool' ? paths.engineSocket : parsed.socketPath;
  const dockerEngine = createDockerEngine(socketPath);
  const check = async (): Promise<boolean> => {
    await dockerEngine.info();
    return true;
  };
  const readiness = { check, timeoutMs: engineReadyMs, intervalMs: 100 };
  const child = superviseAgent({ paths, readiness, logger });
  if (parsed === 'pool') undo.add('container engine', () => stopPoolEngine(paths.home, logger));
  undo.add('instances', async () => {
    await stopInstances({ home: paths.home, socketPath, providerUid: provider.metadata.uid ?? '', logger });
  });
  undo.add('agent', () => child.stop());
  await progress.step('agent and container engine', () => abortable(child.start(), signal));
  return socketPath;
}

async function untilProviderReady(client: KubeClient, provider: Provider, signal: AbortSignal): Promise<void> {
  const name = provider.metadata.name ?? '';
  const check = async (): Promise<boolean> => {
    const { status } = await client.get(providers, { name }, { signal });
    if (status?.phase === 'Ready') return true;
    throw new Error(`it is ${status?.phase ?? 'Pending'}`);
  };
  await untilTrue(check, { what: `provider ${name} to be Ready`, timeoutMs: providerReadyMs, intervalMs: 100, signal });
}

/** What must be undone, the latest first. Running it twice does it once. */
class UndoStack {
  readonly #context: StartContext;
  readonly #steps: { name: string; stop: () => Promise<void> }[] = [];
  #running: Promise<void> | undefined;

  constructor(context: StartContext) {
    this.#context = context;
  }

  add(name: string, stop: () => Promise<void>): void {
    this.#steps.push({ name, stop });
  }

  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    const { progress, logger } = this.#context;
    for (const { name, stop } of this.#steps.reverse()) {
      try {
        await progress.step(`${name} stopped`, stop);
      } catch (error) {
        logger.error('could not be stopped', { part: name, error });
        progress.note(`  ${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}

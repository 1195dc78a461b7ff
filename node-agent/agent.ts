/** The process on a provider that makes its container engine match the API. This is where its parts are put together. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../api/backoff.ts';
import { UserError } from '../api/errors.ts';
import type { Provider } from '../api/generated/provider.ts';
import { providers } from '../api/resource-type.ts';
import { ApiError } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { ControllerMetrics } from '../runtime/controller-metrics.ts';
import type { Logger } from '../runtime/logger.ts';
import { updateStatus } from '../runtime/status-writer.ts';
import { createDockerEngine } from './engine/docker-engine.ts';
import type { Engine } from './engine/engine.ts';
import { startPoolEngine } from './engine/pool-engine.ts';
import { poolPaths } from './engine/pool-paths.ts';
import { ShapedEngine } from './engine/shaped-engine.ts';
import { GuardedImages } from './images/guarded-images.ts';
import { readMachine } from './inventory/machine.ts';
import { openJournal } from './journal/journal.ts';
import { holdWhileClosed } from './owner-policy/hold-while-closed.ts';
import { PolicyKeeper, defaultOwnerPolicyPath } from './owner-policy/policy-keeper.ts';
import { RunningAgent } from './running-agent.ts';
import type { RunningAgentOptions } from './running-agent.ts';
import type { AgentFacts } from './usage/usage-metrics.ts';

export interface AgentOptions {
  /** With the provider's own credentials. */
  client: Client;
  providerName: string;
  /** From the client certificate, whose name is `system:provider:<uid>`. */
  providerUid: string;
  /** `$POTLUCK_HOME`. */
  home: string;
  /** The pool's own engine, started by the agent; or one that somebody else runs, in a network namespace of its own if it has one. */
  engine: { kind: 'pool'; diskBytes?: number } | { kind: 'socket'; socketPath: string; namespace?: string };
  /** An IPv4 address that the pool's own engine asks for instances; the machine's own name server when absent. */
  nameServer?: string;
  /** The owner's policy file; `/etc/potluck/owner-policy.yaml` when absent. */
  ownerPolicyPath?: string;
  /** The machine is on its way out of the pool: what it said about that is not taken back. */
  isLeaving?: boolean;
  /** Where Prometheus is served, in plain HTTP; absent: nowhere. */
  metricsListen?: { host: string; port: number };
  /** How often instances are measured; 10 s when absent. */
  usageIntervalMs?: number;
  logger: Logger;
  /** Gives up a start that waits for the API. */
  signal?: AbortSignal;
}

export interface Agent {
  /** Where metrics are served; undefined when they are not. */
  readonly metricsPort: number | undefined;
  /** Instances go on running; the next start finds them. */
  stop(): Promise<void>;
}

const apiBackoff = { baseMs: 500, capMs: 10_000 };

/**
 * Resolves when the engine is up and the API knows the provider; waits for both.
 * @throws {UserError} PROVIDER_MISMATCH when the API has another provider under this name, or none.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { client, providerName, providerUid, home, logger } = options;
  const ownerPolicy = await openOwnerPolicy(options);
  const { engine, isPools, namespace, network, release } = await openEngine(options).catch(async (error: unknown) => {
    await ownerPolicy.stop();
    throw error;
  });
  try {
    const journal = await openJournal(join(home, 'agent', 'journal.json'), logger);
    const meanwhile = holdWhileClosed({ ownerPolicy, engine, journal, providerUid, logger });
    const provider = await stay(await findProvider(options, meanwhile), options);
    const guarded = await GuardedImages.open(join(home, 'agent', 'guarded-images.json'), logger);
    const machine = await readMachine('/');
    const { usageIntervalMs } = options;
    const metrics = await openMetrics(options);
    const agent = new RunningAgent({
      client,
      providerName,
      providerUid,
      provider,
      engine,
      journal,
      machine,
      home,
      ownerPolicy,
      ...network,
      guarded,
      collectImages: isPools,
      ...(namespace === undefined ? {} : { engineNamespace: namespace }),
      ...(metrics === undefined ? {} : { metrics: metrics.controllers }),
      ...(usageIntervalMs === undefined ? {} : { usageIntervalMs }),
      logger,
    });
    metrics?.collect(() => agent.facts());
    agent.start();
    const stop = async (): Promise<void> => {
      await metrics?.close();
      await agent.stop();
      await release();
    };
    return { metricsPort: metrics?.port, stop };
  } catch (error) {
    await ownerPolicy.stop();
    await release();
    throw error;
  }
}

async function openOwnerPolicy({ home, ownerPolicyPath = defaultOwnerPolicyPath, logger }: AgentOptions): Promise<PolicyKeeper> {
  const directory = join(home, 'agent');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const keeper = new PolicyKeeper({ path: ownerPolicyPath, lastGoodPath: join(directory, 'owner-policy.yaml'), logger });
  await keeper.start();
  return keeper;
}

interface OpenedMetrics {
  controllers: ControllerMetrics;
  port: number;
  /** From now on instances and machine are in it too. */
  collect(facts: () => AgentFacts): void;
  close: () => Promise<void>;
}

/** The code is loaded only where metrics are served: it takes several megabytes. */
async function openMetrics({ metricsListen, logger }: AgentOptions): Promise<OpenedMetrics | undefined> {
  if (metricsListen === undefined) return undefined;
  const { createMetrics, startMetricsServer } = await import('../runtime/metrics.ts');
  const { addCollectedMetrics } = await import('../runtime/collected-metrics.ts');
  const { agentFamilies, agentSamples } = await import('./usage/usage-metrics.ts');
  const { registry, controllers } = createMetrics();
  const { port, close } = await startMetricsServer({ ...metricsListen, registry, logger });
  logger.info('metrics are served', { url: `http://${metricsListen.host}:${port}/metrics` });
  return { controllers, port, collect: (facts) => addCollectedMetrics(registry, agentFamilies, () => agentSamples(facts())), close };
}

interface OpenedEngine {
  engine: Engine;
  isPools: boolean;
  /** A file for `nsenter`; absent: the machine's own network. */
  namespace?: string;
  network: Pick<RunningAgentOptions, 'network'>;
  release: () => Promise<void>;
}

async function openEngine({ engine, nameServer, home, logger }: AgentOptions): Promise<OpenedEngine> {
  if (engine.kind === 'socket') {
    const { socketPath, namespace } = engine;
    const inNamespace = namespace === undefined ? {} : { namespace };
    return { engine: createDockerEngine(socketPath), isPools: false, ...inNamespace, network: {}, release: () => Promise.resolve() };
  }
  const pool = await startPoolEngine({
    home,
    logger,
    ...(engine.diskBytes === undefined ? {} : { diskBytes: engine.diskBytes }),
    ...(nameServer === undefined ? {} : { nameServer }),
  });
  const { bandwidth, walls } = pool;
  const { namespace } = poolPaths(home);
  return {
    engine: new ShapedEngine(createDockerEngine(pool.socketPath), bandwidth),
    isPools: true,
    namespace,
    network: { network: { namespace, bandwidth, walls } },
    release: () => pool.detach(),
  };
}

/** A machine that was about to leave and was started again without finishing that stays. */
async function stay(provider: Provider, { client, providerName, providerUid, isLeaving, logger }: AgentOptions): Promise<Provider> {
  if (isLeaving === true || provider.status?.leavingAt === undefined) return provider;
  logger.info('this machine stays in the pool after all');
  const takeBack = (draft: Provider): false | undefined => {
    if (draft.metadata.uid !== providerUid) return false;
    delete draft.status?.leavingAt;
    return undefined;
  };
  return updateStatus(client, providers, { name: providerName }, takeBack);
}

/** Waits for the API as long as it takes; `meanwhile` is called before each attempt. */
async function findProvider(
  { client, providerName, providerUid, logger, signal }: AgentOptions,
  meanwhile: () => Promise<void>,
): Promise<Provider> {
  const remedy = 'Join the pool again with a new token, or start the agent with the name that it joined by.';
  for (let attempt = 0; ; attempt += 1) {
    signal?.throwIfAborted();
    await meanwhile();
    try {
      const provider = await client.get(providers, { name: providerName }, signal === undefined ? {} : { signal });
      if (provider.metadata.uid === providerUid) return provider;
      throw new UserError('PROVIDER_MISMATCH', `the pool's provider ${providerName} is another one than this machine joined as`, remedy);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (error instanceof ApiError && (error.code === 404 || error.code === 403)) {
        throw new UserError('PROVIDER_MISMATCH', `the pool has no provider ${providerName} for this machine`, remedy, { cause: error });
      }
      if (attempt === 0) logger.warn('the API does not answer yet', { error });
      await delay(200 + fullJitterMs(attempt, apiBackoff, Math.random), undefined, signal === undefined ? {} : { signal });
    }
  }
}

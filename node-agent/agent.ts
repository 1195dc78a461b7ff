/** The process on a provider that makes its container engine match the API. This is where its parts are put together. */
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
import { createDockerEngine } from './engine/docker-engine.ts';
import type { Engine } from './engine/engine.ts';
import { startPoolEngine } from './engine/pool-engine.ts';
import { poolPaths } from './engine/pool-paths.ts';
import { GuardedImages } from './images/guarded-images.ts';
import { readMachine } from './inventory/machine.ts';
import { openJournal } from './journal/journal.ts';
import { RunningAgent } from './running-agent.ts';
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
  const { engine, isPools, namespace, release } = await openEngine(options);
  try {
    const provider = await findProvider(options);
    const journal = await openJournal(join(home, 'agent', 'journal.json'), logger);
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
    await release();
    throw error;
  }
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
  release: () => Promise<void>;
}

async function openEngine({ engine, home, logger }: AgentOptions): Promise<OpenedEngine> {
  if (engine.kind === 'socket') {
    const { socketPath, namespace } = engine;
    const inNamespace = namespace === undefined ? {} : { namespace };
    return { engine: createDockerEngine(socketPath), isPools: false, ...inNamespace, release: () => Promise.resolve() };
  }
  const pool = await startPoolEngine({ home, logger, ...(engine.diskBytes === undefined ? {} : { diskBytes: engine.diskBytes }) });
  const { namespace } = poolPaths(home);
  return { engine: createDockerEngine(pool.socketPath), isPools: true, namespace, release: () => pool.detach() };
}

/** Waits for the API as long as it takes. */
async function findProvider({ client, providerName, providerUid, logger, signal }: AgentOptions): Promise<Provider> {
  const remedy = 'Join the pool again with a new token, or start the agent with the name that it joined by.';
  for (let attempt = 0; ; attempt += 1) {
    signal?.throwIfAborted();
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

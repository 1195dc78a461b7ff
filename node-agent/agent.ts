/** The process on a provider that makes its container engine match the API. This is where its parts are put together. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../api/backoff.ts';
import { UserError } from '../api/errors.ts';
import type { Provider } from '../api/generated/provider.ts';
import { providers } from '../api/resource-type.ts';
import { ApiError } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../runtime/logger.ts';
import { createDockerEngine } from './engine/docker-engine.ts';
import type { Engine } from './engine/engine.ts';
import { startPoolEngine } from './engine/pool-engine.ts';
import { ShapedEngine } from './engine/shaped-engine.ts';
import { readMachine } from './inventory/machine.ts';
import { openJournal } from './journal/journal.ts';
import { RunningAgent } from './running-agent.ts';
import type { RunningAgentOptions } from './running-agent.ts';

export interface AgentOptions {
  /** With the provider's own credentials. */
  client: Client;
  providerName: string;
  /** From the client certificate, whose name is `system:provider:<uid>`. */
  providerUid: string;
  /** `$POTLUCK_HOME`. */
  home: string;
  /** The pool's own engine, started by the agent; or one that somebody else runs. */
  engine: { kind: 'pool'; diskBytes?: number } | { kind: 'socket'; socketPath: string };
  /** An IPv4 address that the pool's own engine asks for instances; the machine's own name server when absent. */
  nameServer?: string;
  logger: Logger;
  /** Gives up a start that waits for the API. */
  signal?: AbortSignal;
}

export interface Agent {
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
  const { engine, network, release } = await openEngine(options);
  try {
    const provider = await findProvider(options);
    const journal = await openJournal(join(home, 'agent', 'journal.json'), logger);
    const machine = await readMachine('/');
    const agent = new RunningAgent({ client, providerName, providerUid, provider, engine, journal, machine, ...network, logger });
    agent.start();
    const stop = async (): Promise<void> => {
      await agent.stop();
      await release();
    };
    return { stop };
  } catch (error) {
    await release();
    throw error;
  }
}

interface OpenEngine {
  engine: Engine;
  network: Pick<RunningAgentOptions, 'network'>;
  release: () => Promise<void>;
}

async function openEngine({ engine, nameServer, home, logger }: AgentOptions): Promise<OpenEngine> {
  if (engine.kind === 'socket') return { engine: createDockerEngine(engine.socketPath), network: {}, release: () => Promise.resolve() };
  const pool = await startPoolEngine({
    home,
    logger,
    ...(engine.diskBytes === undefined ? {} : { diskBytes: engine.diskBytes }),
    ...(nameServer === undefined ? {} : { nameServer }),
  });
  const { bandwidth, walls } = pool;
  return {
    engine: new ShapedEngine(createDockerEngine(pool.socketPath), bandwidth),
    network: { network: { bandwidth, walls } },
    release: () => pool.detach(),
  };
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

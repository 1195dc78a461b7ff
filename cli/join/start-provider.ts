/** Runs the agent of a machine that joined a pool elsewhere, as long as this process runs. */
import { providers } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import type { SupervisedChild } from '../../runtime/child-process.ts';
import type { Logger } from '../../runtime/logger.ts';
import { untilTrue } from '../until-true.ts';
import { engineSocketOf } from './engine-socket.ts';
import { superviseAgent } from '../up/own-processes.ts';
import type { PoolPaths } from '../up/pool-paths.ts';

const engineReadyMs = 90_000;

/** Not started yet; ready when its engine answers, whether the pool does or not. */
export function prepareAgent(paths: PoolPaths, enrolment: Enrolment, logger: Logger): SupervisedChild {
  const engine = createDockerEngine(engineSocketOf(paths, enrolment));
  const check = async (): Promise<boolean> => {
    await engine.info();
    return true;
  };
  return superviseAgent({ paths, readiness: { check, timeoutMs: engineReadyMs, intervalMs: 100 }, logger });
}

/** Resolves when the pool says that the provider is Ready; rejects with TooLateError when it does not. */
export async function untilReady(
  paths: PoolPaths,
  enrolment: Enrolment,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const { providerName: name } = enrolment;
  const client = createClient({ kubeconfig: paths.agentKubeconfig, userAgent: 'potluck-join/0.1.0' });
  const check = async (signal: AbortSignal): Promise<boolean> => {
    const { status } = await client.get(providers, { name }, { signal, timeoutMs: 5_000 });
    if (status?.phase === 'Ready' || status?.phase === 'Withdrawn') return true;
    throw new Error(`it is ${status?.phase ?? 'Pending'}`);
  };
  try {
    await untilTrue(check, { what: `provider ${name} to be Ready`, ...options });
  } finally {
    client.close();
  }
}

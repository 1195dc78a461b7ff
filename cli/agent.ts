import { resolve } from 'node:path';
import { UserError } from '../api/errors.ts';
import { createClient } from '../client/kube-client.ts';
import { startAgent } from '../node-agent/agent.ts';
import { agentFolder } from '../node-agent/identity/agent-folder.ts';
import { readAgentKubeconfig } from '../node-agent/identity/agent-kubeconfig.ts';
import { CertificateKeeper } from '../node-agent/identity/certificate-keeper.ts';
import { readEnrolment, writeEnrolment } from '../node-agent/identity/enrolment.ts';
import { defaultOwnerPolicyPath } from '../node-agent/owner-policy/policy-keeper.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess, type RunningProcess } from '../runtime/process.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseHostPort } from './command-line/host-port.ts';
import { logFlags } from './command-line/log-flags.ts';
import { parseEngine } from './engine-flag.ts';
import { nameServerFlag, parseNameServer } from './name-server-flag.ts';
import { engineSocketOf } from './join/engine-socket.ts';
import { removeContainers } from './up/engine-containers.ts';
import { lockAgent } from './up/lock.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';

const flags = {
  provider: { type: 'string', value: 'NAME', description: 'name of this machine in the pool; default as it joined' },
  kubeconfig: { type: 'string', value: 'FILE', description: "the provider's identity; default HOME/agent/kubeconfig" },
  engine: { type: 'string', value: 'ENGINE', description: 'the container engine: pool, or unix:///PATH; default as it joined' },
  'name-server': nameServerFlag,
  'owner-policy': { type: 'string', value: 'FILE', description: 'what the owner of this machine allows the pool; default as it joined' },
  'metrics-listen': {
    type: 'string',
    value: 'HOST:PORT',
    description: 'where metrics are served to Prometheus, in plain HTTP: keep to 127.0.0.1; port 0 takes a free one',
  },
  home: homeFlag,
  ...logFlags,
} as const;

export const agentCommand = defineCommand({
  name: 'agent',
  summary: 'makes the container engine of this machine match what the pool wants of it',
  details:
    'potluck up and potluck join start this. When it stops, instances go on running, and the next start finds them. It renews its certificate by itself,\n' +
    'and gets a new one by its identity key after it was away for too long.',
  flags,
  run: (values) => {
    const logger = createLogger({ component: 'agent', level: values['log-level'] as 'info', format: values['log-format'] as 'text' });
    if (values.engine !== undefined) parseEngine(values.engine);
    parseNameServer(values['name-server']);
    runProcess({ name: 'potluck agent', logger, start: ({ signal }) => start({ values, logger, signal }) });
    return Promise.resolve(undefined);
  },
});

interface AgentContext {
  values: FlagValues<typeof flags>;
  logger: Logger;
  signal: AbortSignal;
}

async function start(context: AgentContext): Promise<RunningProcess> {
  const { values, logger } = context;
  const paths = poolPaths(resolveHome(values.home));
  const folder = agentFolder(paths.home);
  const kubeconfig = values.kubeconfig ?? folder.kubeconfig;
  // Before anything is touched: that there is an identity at all.
  const { providerUid } = await readAgentKubeconfig(kubeconfig);
  const lock = await lockAgent(paths);
  const onUnauthorized = (): void => keeper.noteUnauthorized();
  const client = createClient({ kubeconfig, userAgent: 'potluck-agent/0.1.0', onUnauthorized });
  const keeper = new CertificateKeeper({ folder, kubeconfig, client, logger });
  keeper.start();
  const release = async (): Promise<void> => {
    await keeper.stop();
    client.close();
    await lock.release();
  };
  try {
    const agent = await startAgent({ ...(await readIdentity(context)), client, providerUid });
    await removeFormer(paths, logger).catch((error: unknown) =>
      logger.warn('containers of an earlier time could not be removed', { error }),
    );
    return { stop: () => agent.stop().finally(release) };
  } catch (error) {
    await release();
    throw error;
  }
}

/** What was written when the machine joined; flags win. */
async function readIdentity({
  values,
  logger,
  signal,
}: AgentContext): Promise<Omit<Parameters<typeof startAgent>[0], 'client' | 'providerUid'>> {
  const home = resolveHome(values.home);
  const enrolment = await readEnrolment(agentFolder(home));
  const providerName = values.provider ?? enrolment?.providerName;
  if (providerName === undefined) {
    const remedy = 'Join the pool first (potluck join), or say its name with --provider';
    throw new UserError('NOT_JOINED', `this machine has no name in a pool, by what is in ${home}`, remedy);
  }
  const engine = parseEngine(values.engine ?? enrolment?.engine ?? 'pool');
  return {
    providerName,
    home,
    engine: engine === 'pool' ? { kind: 'pool' } : { kind: 'socket', socketPath: engine.socketPath },
    ...parseNameServer(values['name-server']),
    ownerPolicyPath: resolve(values['owner-policy'] ?? enrolment?.ownerPolicy ?? defaultOwnerPolicyPath),
    ...(values['metrics-listen'] === undefined ? {} : { metricsListen: parseHostPort('metrics-listen', values['metrics-listen']) }),
    isLeaving: enrolment?.leaving !== undefined,
    logger,
    signal,
  };
}

/** What ran here before the machine joined anew; the engine is up by now. */
async function removeFormer(paths: PoolPaths, logger: Logger): Promise<void> {
  const folder = agentFolder(paths.home);
  const enrolment = await readEnrolment(folder);
  if (enrolment?.former === undefined) return;
  const removed = await removeContainers(engineSocketOf(paths, enrolment), enrolment.former);
  if (removed > 0) logger.info('removed containers of the time before this machine joined anew', { removed });
  delete enrolment.former;
  await writeEnrolment(folder, enrolment);
}

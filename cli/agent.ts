import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UserError } from '../api/errors.ts';
import { providerUser } from '../api/names.ts';
import { createClient } from '../client/kube-client.ts';
import { currentEntries, loadKubeconfig } from '../client/kubeconfig.ts';
import { startAgent } from '../node-agent/agent.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess, type RunningProcess } from '../runtime/process.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseHostPort } from './command-line/host-port.ts';
import { logFlags } from './command-line/log-flags.ts';
import { engineFlag, parseEngine } from './engine-flag.ts';
import { poolPaths } from './up/pool-paths.ts';

const flags = {
  provider: { type: 'string', value: 'NAME', description: 'name of this machine in the pool' },
  kubeconfig: { type: 'string', value: 'FILE', description: "the provider's identity; default HOME/agent/kubeconfig" },
  engine: engineFlag,
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
  details: 'potluck up starts this. When it stops, instances go on running, and the next start finds them.',
  flags,
  run: (values) => {
    const { provider } = values;
    if (provider === undefined)
      throw new UserError('BAD_ARGUMENT', 'potluck agent: --provider is missing', 'For example --provider alans-desktop');
    const logger = createLogger({ component: 'agent', level: values['log-level'] as 'info', format: values['log-format'] as 'text' });
    const engine = parseEngine(values.engine);
    runProcess({ name: 'potluck agent', logger, start: ({ signal }) => start({ values, provider, engine, logger, signal }) });
    return Promise.resolve(undefined);
  },
});

interface AgentContext {
  values: FlagValues<typeof flags>;
  provider: string;
  engine: ReturnType<typeof parseEngine>;
  logger: Logger;
  signal: AbortSignal;
}

async function start({ values, provider, engine, logger, signal }: AgentContext): Promise<RunningProcess> {
  const home = resolveHome(values.home);
  const kubeconfig = values.kubeconfig ?? poolPaths(home).agentKubeconfig;
  const providerUid = await readProviderUid(kubeconfig);
  const client = createClient({ kubeconfig, userAgent: 'potluck-agent/0.1.0' });
  const agent = await startAgent({
    client,
    providerName: provider,
    providerUid,
    home,
    engine: engine === 'pool' ? { kind: 'pool' } : { kind: 'socket', socketPath: engine.socketPath },
    ...(values['metrics-listen'] === undefined ? {} : { metricsListen: parseHostPort('metrics-listen', values['metrics-listen']) }),
    logger,
    signal,
  });
  return {
    stop: async () => {
      await agent.stop();
      client.close();
    },
  };
}

/** The uid is what the certificate says, whatever the name on the command line: the server goes by it too. */
async function readProviderUid(kubeconfig: string): Promise<string> {
  const remedy = 'Give the file that the pool wrote for this machine, with --kubeconfig';
  try {
    const { user } = currentEntries(await loadKubeconfig(kubeconfig));
    const pem = user?.certData === undefined ? await readFile(user?.certFile ?? '') : Buffer.from(user.certData, 'base64');
    const name = /^CN=(.+)$/m.exec(new X509Certificate(pem).subject)?.[1] ?? '';
    const prefix = providerUser('');
    if (name.startsWith(prefix) && name.length > prefix.length) return name.slice(prefix.length);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError('BAD_ARGUMENT', `${kubeconfig} has no certificate that can be read: ${(error as Error).message}`, remedy, {
      cause: error,
    });
  }
  throw new UserError('PROVIDER_MISMATCH', `the certificate in ${kubeconfig} is not a provider's`, remedy);
}

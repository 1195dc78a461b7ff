import { hostname } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../client/kube-client.ts';
import { loadKubeconfig } from '../client/kubeconfig.ts';
import { readOwnIdentity } from '../gateway/own-identity.ts';
import { startJumpHost } from '../gateway/ssh/jump-host.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess, type ProcessContext, type RunningProcess } from '../runtime/process.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseHostPort } from './command-line/host-port.ts';
import { logFlags } from './command-line/log-flags.ts';
import { gatewayName } from './server/gateway-component.ts';
import { becomeNobody } from './ssh/become-nobody.ts';
import { ensureJumpHostKey } from './ssh/jump-host-key.ts';
import { poolPaths } from './up/pool-paths.ts';

const flags = {
  'ssh-listen': {
    type: 'string',
    value: 'HOST:PORT',
    default: '0.0.0.0:22000',
    description: 'where SSH comes in; port 0 takes a free one',
  },
  'gateway-name': { type: 'string', value: 'NAME', description: 'the gateway that is tried first; default the one of this machine' },
  kubeconfig: { type: 'string', value: 'FILE', description: 'how it reaches the API; default HOME/pki/jump-host.kubeconfig' },
  home: homeFlag,
  ...logFlags,
} as const;

export const jumpHostCommand = defineCommand({
  name: 'jump-host',
  summary: 'lets SSH in, and through to instances that the key opens',
  details:
    'potluck up starts this. It reads its certificate and its key, and then becomes nobody: it has no access to the store or to the authority, cannot\n' +
    'read what goes through it, and leads to instances only.',
  flags,
  run: (values) => {
    const logger = createLogger({ component: 'jump-host', level: values['log-level'] as 'info', format: values['log-format'] as 'text' });
    parseHostPort('ssh-listen', values['ssh-listen']);
    runProcess({ name: 'potluck jump-host', logger, start: (context) => start(values, logger, context) });
    return Promise.resolve(undefined);
  },
});

async function start(values: FlagValues<typeof flags>, logger: Logger, { signal }: ProcessContext): Promise<RunningProcess> {
  const paths = poolPaths(resolveHome(values.home));
  const file = values.kubeconfig ?? join(paths.pki, 'jump-host.kubeconfig');
  const [kubeconfig, identity, { privatePem }] = await Promise.all([loadKubeconfig(file), readOwnIdentity(file), ensureJumpHostKey(paths)]);
  becomeNobody();
  const client = createClient({ kubeconfig, userAgent: 'potluck-jump-host/0.1.0' });
  try {
    const jumpHost = await startJumpHost({
      client,
      identity,
      gatewayName: values['gateway-name'] ?? gatewayName(hostname()),
      listen: parseHostPort('ssh-listen', values['ssh-listen']),
      hostKey: privatePem,
      logger,
      signal,
    });
    return { stop: () => jumpHost.stop().finally(() => client.close()) };
  } catch (error) {
    client.close();
    throw error;
  }
}

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { startApiServer } from '../apiserver/api-server.ts';
import { createClient } from '../client/kube-client.ts';
import { startController } from '../controller/reconcilers.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess, type RunningProcess } from '../runtime/process.ts';
import { applyAdmissionPolicies } from './apply-admission-policies.ts';
import { applyCrds } from './apply-crds.ts';
import { clusterSigningFlags, signingOptions } from './cluster-signing.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { etcdFlags, etcdServers, readEtcdTls } from './command-line/etcd-flags.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseHostPort } from './command-line/host-port.ts';
import { logFlags } from './command-line/log-flags.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';

const crdDirectory = join(import.meta.dirname, '../crds');
const policiesPath = join(import.meta.dirname, '../manifests/admission-policies.yaml');
const mirrorsPath = join(import.meta.dirname, '../manifests/metrics.yaml');

const components = ['api', 'controller'] as const;
type Component = (typeof components)[number];

const flags = {
  components: {
    type: 'string',
    value: 'LIST',
    default: components.join(','),
    description: 'what runs in this process, of api and controller',
  },
  listen: { type: 'string', value: 'HOST:PORT', default: '0.0.0.0:6443', description: 'where the API listens; port 0 takes a free one' },
  'advertise-address': { type: 'string', value: 'NAME', description: 'name or address by which other machines reach the API' },
  'extra-names': { type: 'string', value: 'NAME[,NAME]', description: "more names and addresses for the API's certificate" },
  ...etcdFlags,
  'etcd-servers': { type: 'string', value: 'URL[,URL]', default: 'http://127.0.0.1:2379', description: 'the etcd that holds the state' },
  kubeconfig: { type: 'string', value: 'FILE', description: 'how the controller reaches the API; default HOME/pki/controller.kubeconfig' },
  ...clusterSigningFlags,
  'access-config': {
    type: 'string',
    value: 'FILE',
    description: 'which users stand for which objects; default the one that comes with Potluck',
  },
  'audit-policy-file': { type: 'string', value: 'FILE', description: 'what is written to the audit log: a Policy of audit.k8s.io/v1' },
  'audit-log-path': { type: 'string', value: 'FILE', description: 'the audit log; default HOME/logs/audit.log where there is a policy' },
  'audit-log-maxsize': { type: 'string', value: 'MB', default: '100', description: 'size at which the audit log is put aside' },
  'audit-log-maxbackup': { type: 'string', value: 'COUNT', default: '10', description: 'audit logs put aside that are kept; 0 keeps all' },
  home: homeFlag,
  ...logFlags,
} as const;

type Values = FlagValues<typeof flags>;

export const serverCommand = defineCommand({
  name: 'server',
  summary: 'runs the API server and the controller, together or apart',
  details: 'potluck up starts this. Several API servers may share an etcd, and several controllers a pool: one of them leads.',
  flags,
  run: (values) => {
    const wanted = parseComponents(values.components);
    const listen = parseHostPort('listen', values.listen);
    const logger = createLogger({ component: 'server', level: values['log-level'] as 'info', format: values['log-format'] as 'text' });
    const start = ({ signal }: { signal: AbortSignal }): Promise<RunningProcess> =>
      startComponents(wanted, { values, listen, logger, signal });
    runProcess({ name: 'potluck server', logger, start });
    return Promise.resolve(undefined);
  },
});

function parseComponents(text: string): ReadonlySet<Component> {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(components as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      'BAD_ARGUMENT',
      `--components has ${JSON.stringify(unknown)}, which is no component`,
      `It is a list of ${components.join(', ')}`,
    );
  }
  return new Set(names as Component[]);
}

interface ServerContext {
  values: Values;
  listen: { host: string; port: number };
  logger: Logger;
  signal: AbortSignal;
}

async function startComponents(wanted: ReadonlySet<Component>, context: ServerContext): Promise<RunningProcess> {
  const paths = poolPaths(resolveHome(context.values.home));
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    if (wanted.has('api')) undo.push(await startApi(paths, context));
    if (wanted.has('controller')) undo.push(await startControllers(paths, context));
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Answers what stops it. */
async function startApi(paths: PoolPaths, { values, listen, logger, signal }: ServerContext): Promise<() => Promise<void>> {
  const endpoints = etcdServers(values) ?? [];
  const tls = await readEtcdTls(values);
  const advertiseAddress = values['advertise-address'];
  const extraNames = values['extra-names']?.split(',').map((name) => name.trim());
  const server = await startApiServer({
    etcd: { endpoints, ...(tls === undefined ? {} : { tls }) },
    listen,
    ...(advertiseAddress === undefined ? {} : { advertiseAddress }),
    ...(extraNames === undefined ? {} : { extraNames }),
    home: paths.home,
    mirrorsFile: mirrorsPath,
    ...(values['access-config'] === undefined ? {} : { accessConfig: values['access-config'] }),
    ...auditOptions(values, paths),
    logger: logger.child({ part: 'api' }),
  });
  const client = createClient({ kubeconfig: paths.kubeconfig, userAgent: 'potluck-server/0.1.0' });
  try {
    await applyCrds(client, crdDirectory, signal);
    await applyAdmissionPolicies(client, policiesPath, signal);
    return () => server.stop();
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    client.close();
  }
}

/** As kube-apiserver takes them; without a policy nothing is written. */
function auditOptions(values: Values, paths: PoolPaths): Pick<Parameters<typeof startApiServer>[0], 'audit'> {
  const policyFile = values['audit-policy-file'];
  if (policyFile === undefined) return {};
  const logPath = values['audit-log-path'] ?? join(paths.home, 'logs', 'audit.log');
  const count = (flag: 'audit-log-maxsize' | 'audit-log-maxbackup', least: number): number => {
    const number = Number(values[flag]);
    if (Number.isSafeInteger(number) && number >= least) return number;
    throw new UserError('BAD_ARGUMENT', `--${flag} ${values[flag]} is no number from ${least} on`, 'Give a whole number');
  };
  return {
    audit: { policyFile, logPath, maxBytes: count('audit-log-maxsize', 1) * 1024 * 1024, maxBackups: count('audit-log-maxbackup', 0) },
  };
}

/** Answers what stops them. */
async function startControllers(paths: PoolPaths, { values, logger }: ServerContext): Promise<() => Promise<void>> {
  const kubeconfig = values.kubeconfig ?? join(paths.pki, 'controller.kubeconfig');
  const signing = await signingOptions(values, paths);
  const client = createClient({ kubeconfig, userAgent: 'potluck-controller/0.1.0' });
  const identity = `${hostname()}_${process.pid}_${randomUUID().slice(0, 8)}`;
  const controller = await startController({
    client,
    logger: logger.child({ part: 'controller' }),
    identity,
    leaderElection: true,
    ...(signing && { signing }),
  });
  return async () => {
    await controller.stop();
    client.close();
  };
}

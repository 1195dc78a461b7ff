import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { UserError } from '../api/errors.ts';
import { createLogger } from '../runtime/logger.ts';
import { runProcess, type ProcessContext, type RunningProcess } from '../runtime/process.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { etcdFlags, etcdServers } from './command-line/etcd-flags.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseHostPort, type HostPort } from './command-line/host-port.ts';
import { engineFlag, parseEngine } from './engine-flag.ts';
import { ownerPolicyFlag } from './owner-policy-flag.ts';
import { checkMachine } from './up/check-machine.ts';
import { runFirstInstance } from './up/first-instance.ts';
import { freePort } from './up/free-port.ts';
import { lockPool } from './up/lock.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';
import { createProgress, type Progress } from './up/progress.ts';
import { startPool, type PoolOptions, type RunningPool, type StartContext } from './up/start-pool.ts';
import { printSummary } from './up/summary.ts';
import type { EtcdAccess } from './up/supervised-etcd.ts';
import { endSurvivors } from './up/survivors.ts';

const exampleFile = join(import.meta.dirname, '../examples/hello.yaml');
/** Every part stops within its own bound; this is the sum, for when one does not. */
const stopTimeoutMs = 110_000;
const echoMs = 500;

const flags = {
  home: homeFlag,
  listen: { type: 'string', value: 'HOST:PORT', default: '0.0.0.0:6443', description: 'where the API listens; port 0 takes a free one' },
  'advertise-address': { type: 'string', value: 'NAME', description: 'name or address by which other machines reach the API' },
  ...etcdFlags,
  'etcd-servers': { type: 'string', value: 'URL[,URL]', description: 'an etcd of your own; the pool starts one where absent' },
  engine: engineFlag,
  'owner-policy': ownerPolicyFlag,
  provider: { type: 'string', value: 'NAME', description: 'name of this machine in the pool; default its hostname' },
  owner: { type: 'string', value: 'NAME', description: 'the member who lends this machine; default the invoking user' },
  rootfs: { type: 'string', value: 'FILE', description: 'tar of a root file system to make debian:12 from, instead of debootstrap' },
  example: { type: 'boolean', negatable: true, description: 'does not apply examples/hello.yaml' },
} as const;

export const upCommand = defineCommand({
  name: 'up',
  summary: 'starts a pool on this machine: etcd, API server, controller, and an agent with a container engine',
  details:
    'Runs until Ctrl-C or SIGTERM, which stop everything in order and keep state and disks. npm start is this, after installing what is missing.',
  flags,
  run: async (values) => {
    const paths = poolPaths(resolveHome(values.home));
    // What can be wrong with the flags is said before anything is touched.
    const options = { paths, listen: parseHostPort('listen', values.listen), ...readOptions(values) };
    await mkdir(paths.logs, { recursive: true }).catch((error: unknown) => Promise.reject(cannotMake(paths, error)));
    const logger = createLogger({ component: 'up', level: 'info', format: 'text', file: join(paths.logs, 'up.log') });
    const progress = createProgress(process.stdout);
    runProcess({
      name: 'potluck up',
      logger,
      stopTimeoutMs,
      echoMs,
      start: (context) => start(options, values.example, { ...context, logger, progress }),
    });
    return undefined;
  },
});

function readOptions(values: FlagValues<typeof flags>): Omit<PoolOptions, 'paths' | 'listen'> {
  parseEngine(values.engine);
  const { engine, provider, owner, rootfs } = values;
  return {
    advertiseAddress: values['advertise-address'],
    etcd: externalEtcd(values),
    engine,
    ownerPolicy: values['owner-policy'],
    provider,
    owner,
    rootfs,
  };
}

function externalEtcd(values: FlagValues<typeof etcdFlags>): EtcdAccess | undefined {
  const servers = etcdServers(values);
  if (servers === undefined) return undefined;
  const [caFile, certFile, keyFile] = [values['etcd-cafile'], values['etcd-certfile'], values['etcd-keyfile']];
  return {
    servers,
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
  };
}

async function start(options: PoolOptions, example: boolean, context: StartContext & ProcessContext): Promise<RunningProcess> {
  const { paths } = options;
  const { progress, signal } = context;
  const startMs = performance.now();
  const lock = await lockPool(paths, { as: 'up' });
  try {
    const ended = await endSurvivors(paths, context.logger, signal);
    if (ended.length > 0) progress.note(`✓ ended what an earlier potluck up left running: ${ended.join(', ')}`);
    const engine = parseEngine(options.engine);
    const engineSocket = engine === 'pool' ? undefined : engine.socketPath;
    await checkMachine({ home: paths.home, listen: options.listen, etcdServers: options.etcd?.servers, engineSocket });
    const listen = await withRealPort(options.listen);
    const pool = await startPool({ ...options, listen }, context);
    const stop = async (): Promise<void> => {
      progress.note('Stopping; instances stop, and state and disks are kept.');
      await pool.stop();
      await lock.release();
      progress.note('Stopped. npm start goes on from here; bin/potluck down --purge removes everything.');
    };
    await present(pool, example, { paths, progress, signal, startMs }).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
    return { stop };
  } catch (error) {
    await lock.release();
    if (!(error instanceof UserError) && !signal.aborted) sayUnexpected(paths, error);
    throw error;
  }
}

/** The log has the whole of it; a terminal gets what a person can use. */
function sayUnexpected(paths: PoolPaths, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`The pool did not start: ${message}\nLogs are in ${paths.logs}.\n`);
}

interface Presentation {
  paths: PoolPaths;
  progress: Progress;
  signal: AbortSignal;
  startMs: number;
}

async function present(pool: RunningPool, example: boolean, { paths, progress, signal, startMs }: Presentation): Promise<void> {
  const { client, socketPath, provider } = pool;
  const providerUid = provider.metadata.uid ?? '';
  if (example) {
    const why = await progress.step('first instance, examples/hello.yaml', (report) =>
      runFirstInstance({ file: exampleFile, client, socketPath, providerUid, report, signal }),
    );
    if (why !== undefined) progress.note(`  It does not run yet: ${why}. kubectl describe instance hello says more.`);
  }
  await printSummary(client, { paths, progress, signal, seconds: (performance.now() - startMs) / 1000 });
}

/** The port stays the same when the server is restarted: clients have it. */
async function withRealPort({ host, port }: HostPort): Promise<HostPort> {
  return { host, port: port === 0 ? await freePort(host) : port };
}

function cannotMake(paths: PoolPaths, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return new UserError('DISK_FULL', `${paths.home} has no room`, 'Make room, or choose another place with --home');
  return new UserError('BAD_ARGUMENT', `${paths.home} cannot be used: ${message}`, 'Choose another place with --home, or run as root', {
    cause: error,
  });
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { createClient } from '../client/kube-client.ts';
import { agentFolder } from '../node-agent/identity/agent-folder.ts';
import { readEnrolment } from '../node-agent/identity/enrolment.ts';
import { findSurvivor } from '../runtime/pid-file.ts';
import { defineCommand } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { outputFlag } from './command-line/output-flag.ts';
import { formatInstances, formatProviders, readOverview, type PoolOverview } from './pool-overview.ts';
import { findRunning } from './up/lock.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';

interface PoolStatus extends PoolOverview {
  home: string;
  /** Whether the API answers. */
  ready: boolean;
  /** Of `potluck up` and its children; absent where one does not run. */
  processes: Record<string, number>;
  kubeconfig: string;
  /** Why it is not ready; empty when it is. */
  message: string;
}

const apiTimeoutMs = 5_000;

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'shows whether the pool runs, its providers and its instances',
  details: 'Exit code 0 when the API answers, 1 when it does not.',
  flags: { home: homeFlag, output: outputFlag },
  run: async (values) => {
    const status = await readStatus(poolPaths(resolveHome(values.home)));
    process.stdout.write(values.output === 'json' ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
    return status.ready ? 0 : 1;
  },
});

async function readStatus(paths: PoolPaths): Promise<PoolStatus> {
  const status: PoolStatus = {
    home: paths.home,
    ready: false,
    processes: await readProcesses(paths),
    kubeconfig: paths.kubeconfig,
    message: '',
    providers: [],
    instances: [],
  };
  if (!existsSync(paths.kubeconfig)) return { ...status, message: await whyNone(paths) };
  const client = createClient({ kubeconfig: paths.kubeconfig, userAgent: 'potluck-status/0.1.0' });
  try {
    const overview = await readOverview(client, { signal: AbortSignal.timeout(apiTimeoutMs), timeoutMs: apiTimeoutMs });
    return { ...status, ...overview, ready: true };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const remedy = Object.hasOwn(status.processes, 'up') ? `Look at ${join(paths.logs, 'server.log')}` : 'Start the pool with npm start';
    return { ...status, message: new UserError('API_UNREACHABLE', `the API does not answer: ${why}`, remedy, { cause: error }).toString() };
  } finally {
    client.close();
  }
}

/** A machine that joined a pool elsewhere has none of its own. */
async function whyNone({ home }: PoolPaths): Promise<string> {
  const enrolment = await readEnrolment(agentFolder(home));
  if (enrolment?.by !== 'join') return `there is no pool in ${home}; npm start makes one`;
  return `this machine is ${enrolment.providerName} in a pool that runs elsewhere; ask that for its state`;
}

async function readProcesses(paths: PoolPaths): Promise<Record<string, number>> {
  const processes: Record<string, number> = {};
  for (const name of ['up', 'join'] as const) {
    const pid = await findRunning(paths, name);
    if (pid !== undefined) processes[name] = pid;
  }
  for (const name of ['etcd', 'server', 'agent']) {
    const survivor = await findSurvivor(join(paths.run, `${name}.pid`));
    if (survivor.kind === 'ours') processes[name] = survivor.pid;
  }
  return processes;
}

function formatStatus({ home, ready, processes, kubeconfig, message, providers, instances }: PoolStatus): string {
  const running = Object.entries(processes).map(([name, pid]) => `${name} (${pid})`);
  const lines = [`The pool in ${home} ${ready ? 'answers' : 'does not answer'}.`, `Processes: ${running.join(', ') || 'none'}`];
  if (message !== '') lines.push(message);
  if (ready) lines.push(`export KUBECONFIG=${kubeconfig}`, '', providers.length === 0 ? 'No providers.' : formatProviders(providers));
  if (ready) lines.push('', instances.length === 0 ? 'No instances.' : formatInstances(instances));
  return `${lines.join('\n')}\n`;
}

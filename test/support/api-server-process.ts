/** The API server as a process of its own over a real etcd: for tests that measure it, or that must not share its event loop. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEtcd } from './etcd.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import type { Credentials } from './https-request.ts';
import { rawRequest, readCredentials } from './https-request.ts';
import { startPotluck } from './processes.ts';

export interface ApiServerProcess {
  url: string;
  port: number;
  home: string;
  kubeconfigPath: string;
  /** The admin's. */
  admin: Required<Credentials>;
  readonly running: boolean;
  /** Resident memory of the process, in bytes. */
  memoryBytes(): Promise<number>;
  /** The 99th percentile of the delay of the process's event loop since this was last asked, in milliseconds. */
  eventLoopDelayMs(): Promise<number>;
  /** Ends everything and removes every file. */
  stop(): Promise<void>;
}

const startTimeoutMs = 30_000;

export async function startApiServerProcess(): Promise<ApiServerProcess> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-api-process-'));
  const etcd = await startEtcd({ unsafeNoFsync: true });
  const port = await freePort();
  const args = ['server', '--components=api', '--listen', `127.0.0.1:${port}`, '--etcd-servers', etcd.endpoint, '--home', home];
  const server = await startPotluck('api', args, join(home, 'server.log'));
  const url = `https://127.0.0.1:${port}`;
  const kubeconfigPath = join(home, 'kubeconfig');
  const stop = async (): Promise<void> => {
    await server.stop();
    await etcd.stop();
    await rm(home, { recursive: true, force: true });
  };
  try {
    const admin = await eventually(
      async () => {
        const credentials = await readCredentials(kubeconfigPath);
        const { code } = await rawRequest(`${url}/apis/potluck.dev/v1alpha1/instances`, credentials);
        if (code !== 200) throw new Error(`listing instances is answered with ${code}`);
        return credentials;
      },
      { timeoutMs: startTimeoutMs, what: 'the API server to serve instances' },
    );
    return {
      url,
      port,
      home,
      kubeconfigPath,
      admin,
      stop,
      get running() {
        return server.running;
      },
      memoryBytes: () => residentBytes(server.pid),
      eventLoopDelayMs: async () => {
        const { body } = await rawRequest(`${url}/metrics`, admin);
        const seconds = /^nodejs_eventloop_lag_p99_seconds (\S+)$/mu.exec(body.toString())?.[1];
        if (seconds === undefined) throw new Error('the metrics do not have the delay of the event loop');
        return Number(seconds) * 1000;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1] ?? Number.NaN) * 1024;
}

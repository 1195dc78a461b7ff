/** A real API server over a real etcd, with our CRDs installed, for tests of everything that talks to the API. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServer, ApiServerOptions } from '../../apiserver/api-server.ts';
import { startApiServer } from '../../apiserver/api-server.ts';
import type { Logger } from '../../runtime/logger.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { TestEtcd } from './etcd.ts';
import { startEtcd } from './etcd.ts';

export interface KubectlResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface TestApiServer {
  /** The same after `restart`. */
  readonly url: string;
  /** Of the admin. */
  readonly kubeconfigPath: string;
  /** `$POTLUCK_HOME`. */
  readonly home: string;
  readonly etcd: TestEtcd;
  /** Runs the real kubectl as the admin; `input` goes to its standard input. Does not throw when kubectl fails. */
  kubectl(args: readonly string[], input?: string): Promise<KubectlResult>;
  /** Stops the server and starts it again on the same port and state. */
  restart(): Promise<void>;
  /** Ends everything and removes every file. */
  stop(): Promise<void>;
}

export interface TestApiServerOptions {
  logger?: Logger;
  /** Default: our own CRDs, waited for until they are served, and the admission policies. */
  installCrds?: boolean;
  /** Path of the kubectl to run. */
  kubectl?: string;
  audit?: ApiServerOptions['audit'];
}

export const crdDirectory = join(import.meta.dirname, '../../crds');
const policiesPath = join(import.meta.dirname, '../../manifests/admission-policies.yaml');
const mirrorsPath = join(import.meta.dirname, '../../manifests/metrics.yaml');
const kubectlTimeoutMs = 60_000;

export async function startTestApiServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-api-'));
  const etcd = await startEtcd({ unsafeNoFsync: true });
  const start = (port: number): Promise<ApiServer> =>
    startApiServer({
      etcd: { endpoints: [etcd.endpoint] },
      listen: { host: '127.0.0.1', port },
      home,
      mirrorsFile: mirrorsPath,
      logger: options.logger ?? silentLogger,
      ...(options.audit === undefined ? {} : { audit: options.audit }),
    });
  let server: ApiServer | undefined;
  const stop = async (): Promise<void> => {
    await server?.stop();
    await etcd.stop();
    await rm(home, { recursive: true, force: true });
  };
  try {
    server = await start(0);
    const { url, port } = server;
    const kubeconfigPath = join(home, 'kubeconfig');
    const kubectl = (args: readonly string[], input?: string): Promise<KubectlResult> =>
      runKubectl({ kubectl: options.kubectl ?? 'kubectl', home, kubeconfigPath }, args, input);
    if (options.installCrds !== false) await installCrds(kubectl);
    const restart = async (): Promise<void> => {
      await server?.stop();
      server = await start(port);
    };
    return { url, kubeconfigPath, home, etcd, kubectl, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function installCrds(kubectl: TestApiServer['kubectl']): Promise<void> {
  for (const args of [
    ['apply', '-f', crdDirectory],
    ['wait', '--for=condition=Established', '--timeout=20s', '-f', crdDirectory],
    ['apply', '-f', policiesPath],
  ]) {
    const { code, stdout, stderr } = await kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} failed: ${stderr}${stdout}`);
  }
}

export interface KubectlSetting {
  /** Path of the kubectl to run. */
  kubectl: string;
  /** kubectl's home: its caches are below it. */
  home: string;
  kubeconfigPath: string;
}

export function runKubectl(setting: KubectlSetting, args: readonly string[], input = ''): Promise<KubectlResult> {
  const { promise, resolve, reject } = Promise.withResolvers<KubectlResult>();
  const env = {
    PATH: process.env['PATH'],
    HOME: setting.home,
    KUBECACHEDIR: join(setting.home, 'kube-cache'),
    KUBECONFIG: setting.kubeconfigPath,
    KUBE_EDITOR: 'true',
  };
  const child = spawn(setting.kubectl, args, { env, timeout: kubectlTimeoutMs, killSignal: 'SIGKILL' });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.on('error', reject);
  child.on('close', (code) => {
    resolve({ code: code ?? -1, ...output });
  });
  // kubectl may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return promise;
}

/** Real etcd servers for tests: free ports, their own data directories, gone when the test process is gone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

export interface StartEtcdOptions {
  /** Kept at `stop` when given; otherwise a temporary one, removed at `stop`. */
  dataDir?: string;
  clientPort?: number;
  /** Faster, and what was acknowledged still outlives a SIGKILL of etcd, though not a crash of the machine. */
  unsafeNoFsync?: boolean;
  maxRequestBytes?: number;
  quotaBackendBytes?: number;
  /** PEM files. Clients then come by HTTPS and need a certificate of this authority. */
  tls?: { caFile: string; certFile: string; keyFile: string };
}

export interface TestEtcd {
  /** `http://127.0.0.1:<port>`, with TLS `https://`; the same after `restart`. */
  readonly endpoint: string;
  readonly pid: number;
  readonly dataDir: string;
  /** What etcd writes, restarts included. */
  readonly logFile: string;
  /** Sends the signal and waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same data and ports, killing it first if it runs, and waits until it is healthy. */
  restart(): Promise<void>;
  /** Stops every thread of it where it is; connections stay open and silent. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its temporary directory. May be called twice. */
  stop(): Promise<void>;
}

const startTimeoutMs = 20_000;
const maxRequestBytesOfSupervisedEtcd = 4 * 1024 * 1024;

/** Children and directories that are still there when the test process ends by itself (a failed hook, `--bail`). */
const leftovers = new Set<{ child: ChildProcess; temporaryDir: string | undefined }>();
process.once('SIGTERM', () => process.exit(143));
process.once('exit', () => {
  for (const { child, temporaryDir } of leftovers) {
    child.kill('SIGKILL');
    if (temporaryDir !== undefined) rmSync(temporaryDir, { recursive: true, force: true, maxRetries: 3 });
  }
});

/** Starts one etcd and waits until its `/health` says that it takes writes. Needs `etcd` (Debian's `etcd-server`) on the PATH. */
export async function startEtcd(options: StartEtcdOptions = {}): Promise<TestEtcd> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'potluck-etcd-')));
  await mkdir(dataDir, { recursive: true });
  const ports = { client: options.clientPort ?? (await freePort()), peer: await freePort(), health: await freePort() };
  const etcd = new RunningEtcd(dataDir, options, ports);
  try {
    await etcd.restart();
  } catch (error) {
    await etcd.stop();
    throw error;
  }
  return etcd;
}

class RunningEtcd implements TestEtcd {
  readonly endpoint: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly #healthUrl: string;
  readonly #arguments: readonly string[];
  readonly #temporaryDir: string | undefined;
  #leftover: { child: ChildProcess; temporaryDir: string | undefined } | undefined;

  constructor(dataDir: string, options: StartEtcdOptions, ports: { client: number; peer: number; health: number }) {
    this.endpoint = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${ports.client}`;
    this.#healthUrl = `http://127.0.0.1:${ports.health}`;
    this.dataDir = dataDir;
    this.logFile = join(dataDir, 'etcd.log');
    this.#temporaryDir = options.dataDir === undefined ? dataDir : undefined;
    this.#arguments = etcdArguments(dataDir, options, {
      client: this.endpoint,
      peer: `http://127.0.0.1:${ports.peer}`,
      health: this.#healthUrl,
    });
  }

  get pid(): number {
    return this.#leftover?.child.pid ?? -1;
  }

  async restart(): Promise<void> {
    await this.kill();
    const log = openSync(this.logFile, 'a');
    // The kernel ends it with us, even where we are killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'etcd', ...this.#arguments], { stdio: ['ignore', log, log] });
    closeSync(log);
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    this.#leftover = { child, temporaryDir: this.#temporaryDir };
    leftovers.add(this.#leftover);
    const check = (): Promise<string | undefined> => (isRunning(child) ? this.#requireHealth() : this.#lastWords(() => failure));
    const ended = await eventually(check, { timeoutMs: startTimeoutMs, what: `etcd at ${this.endpoint} to be healthy` });
    if (ended !== undefined) throw new Error(`etcd cannot be started; it needs etcd-server and util-linux. It said: ${ended}`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const leftover = this.#leftover;
    if (leftover === undefined) return;
    if (isRunning(leftover.child)) {
      const gone = once(leftover.child, 'exit');
      leftover.child.kill(signal);
      await gone;
    }
    leftovers.delete(leftover);
    this.#leftover = undefined;
  }

  pause(): void {
    this.#leftover?.child.kill('SIGSTOP');
  }

  resume(): void {
    this.#leftover?.child.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.#temporaryDir !== undefined) await rm(this.#temporaryDir, { recursive: true, force: true });
  }

  async #requireHealth(): Promise<undefined> {
    const response = await fetch(`${this.#healthUrl}/health`, { signal: AbortSignal.timeout(2_000) });
    const { health } = (await response.json()) as { health?: string };
    if (health !== 'true') throw new Error(`etcd says that its health is ${String(health)}`);
    return undefined;
  }

  async #lastWords(failure: () => Error | undefined): Promise<string> {
    const log = await readFile(this.logFile, 'utf8');
    return failure()?.message ?? log.slice(-1_000);
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function etcdArguments(dataDir: string, options: StartEtcdOptions, urls: { client: string; peer: string; health: string }): string[] {
  const flags: Record<string, string> = {
    name: 'test',
    'data-dir': join(dataDir, 'data'),
    'listen-client-urls': urls.client,
    'advertise-client-urls': urls.client,
    'listen-peer-urls': urls.peer,
    'initial-advertise-peer-urls': urls.peer,
    'listen-metrics-urls': urls.health,
    'initial-cluster': `test=${urls.peer}`,
    'max-request-bytes': String(options.maxRequestBytes ?? maxRequestBytesOfSupervisedEtcd),
    logger: 'zap',
    'log-outputs': 'stderr',
  };
  if (options.quotaBackendBytes !== undefined) flags['quota-backend-bytes'] = String(options.quotaBackendBytes);
  if (options.unsafeNoFsync === true) flags['unsafe-no-fsync'] = 'true';
  if (options.tls !== undefined) {
    const { caFile, certFile, keyFile } = options.tls;
    Object.assign(flags, { 'trusted-ca-file': caFile, 'cert-file': certFile, 'key-file': keyFile, 'client-cert-auth': 'true' });
  }
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Where the API is and who we are: a keep-alive agent with our certificate, read anew when the files changed. */
import { readFile, stat } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { Cluster, User } from '@kubernetes/client-node/dist/config_types.js';
import { currentEntries, loadKubeconfig } from './kubeconfig.ts';
import type { LoadedKubeconfig } from './kubeconfig.ts';

export interface Credentials {
  /** May have a path; no slash at its end. */
  server: string;
  agent: HttpAgent;
  headers: Record<string, string>;
}

export interface Connection {
  credentials(): Promise<Credentials>;
  /** Closes every connection. */
  close(): void;
}

/** Between two looks at the files, so that a busy client does not stat them for each request. In milliseconds. */
const reloadIntervalMs = 1_000;

interface Loaded {
  credentials: Credentials;
  /** Asks a plug-in again, which knows how long its answer is good. */
  renew?: () => Promise<Credentials>;
  /** The files that it was read from, and how they looked. */
  files: readonly string[];
  fingerprint: string;
}

export function createConnection(kubeconfig: string | LoadedKubeconfig): Connection {
  let loaded: Loaded | undefined;
  let loading: Promise<Credentials> | undefined;
  let checkedMs = 0;

  async function refresh(): Promise<Credentials> {
    const before = loaded;
    if (before !== undefined && (await fingerprintOf(before.files)) === before.fingerprint) {
      if (before.renew !== undefined) before.credentials = await before.renew();
      return before.credentials;
    }
    try {
      loaded = await load(kubeconfig);
    } catch (error) {
      // Files in the middle of a renewal may not fit together yet; what worked so far may go on working.
      if (before === undefined) throw error;
      return before.credentials;
    }
    if (before !== undefined) retire(before.credentials.agent);
    return loaded.credentials;
  }

  return {
    async credentials() {
      if (loaded !== undefined && performance.now() - checkedMs < reloadIntervalMs) return loaded.credentials;
      loading ??= refresh().finally(() => {
        checkedMs = performance.now();
        loading = undefined;
      });
      return loading;
    },
    close() {
      loaded?.credentials.agent.destroy();
    },
  };
}

/** Requests that run keep their connections; nothing new gets one of them. */
function retire(agent: HttpAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

async function load(kubeconfig: string | LoadedKubeconfig): Promise<Loaded> {
  const ownFile = typeof kubeconfig === 'string' ? [kubeconfig] : [];
  // Before the reading: a change in between is seen as one the next time.
  const before = await fingerprintOf(ownFile);
  const config = typeof kubeconfig === 'string' ? await loadKubeconfig(kubeconfig) : kubeconfig;
  const { cluster, user } = currentEntries(config);
  const files = [...ownFile, ...[cluster.caFile, user?.certFile, user?.keyFile].filter((file) => file !== undefined)];
  const fingerprint = files.length === ownFile.length ? before : await fingerprintOf(files);
  const isPlain = user?.exec === undefined && user?.authProvider === undefined && cluster.proxyUrl === undefined;
  if (isPlain) return { credentials: await plainCredentials(cluster, user), files, fingerprint };
  const renew = await clientNodeCredentials(config, cluster);
  return { credentials: await renew(), renew, files, fingerprint };
}

async function plainCredentials(cluster: Cluster, user: User | undefined): Promise<Credentials> {
  const options = {
    keepAlive: true,
    // Half-open connections are found by TCP after a while, also those that wait for a server that is gone.
    keepAliveMsecs: 15_000,
    ...defined({
      ca: await bytesOf(cluster.caData, cluster.caFile),
      cert: await bytesOf(user?.certData, user?.certFile),
      key: await bytesOf(user?.keyData, user?.keyFile),
      servername: cluster.tlsServerName,
    }),
    ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
  };
  const server = withoutSlash(cluster.server);
  // `kubectl proxy` speaks plain HTTP.
  const agent = server.startsWith('http:') ? new HttpAgent(options) : new Agent(options);
  const headers: Record<string, string> = {};
  if (user?.token !== undefined) headers['authorization'] = `Bearer ${user.token}`;
  else if (user?.username !== undefined) {
    headers['authorization'] = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
  }
  if (user?.impersonateUser !== undefined) headers['impersonate-user'] = user.impersonateUser;
  return { server, agent, headers };
}

async function clientNodeCredentials(config: LoadedKubeconfig, cluster: Cluster): Promise<() => Promise<Credentials>> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions(config);
  return async () => {
    const options: RequestOptions = { headers: {} };
    await kubeConfig.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
    if (typeof options.auth === 'string') headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    return { server: withoutSlash(cluster.server), agent: options.agent as HttpAgent, headers };
  };
}

async function bytesOf(data: string | undefined, file: string | undefined): Promise<Buffer | undefined> {
  if (data !== undefined) return Buffer.from(data, 'base64');
  return file === undefined ? undefined : readFile(file);
}

async function fingerprintOf(files: readonly string[]): Promise<string> {
  const states = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      return found === undefined ? 'missing' : `${found.ino}/${found.mtimeNs}/${found.size}`;
    }),
  );
  return states.join(' ');
}

function withoutSlash(server: string): string {
  return server.replace(/\/+$/, '');
}

function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

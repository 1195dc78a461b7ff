import { request } from 'node:https';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../apiserver/access/write-file.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import type { Logger } from '../../runtime/logger.ts';
import { superviseChild, type SupervisedChild } from '../../runtime/child-process.ts';
import { freePort } from './free-port.ts';
import type { PoolPaths } from './pool-paths.ts';

/** What `potluck server` needs to reach an etcd: the values of its flags. */
export interface EtcdAccess {
  servers: readonly string[];
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

export interface SupervisedEtcd {
  access: EtcdAccess;
  child: SupervisedChild;
}

const dayMs = 86_400_000;
const clientLifetimeMs = 365 * dayMs;

/**
 * Prepares the pool's own etcd: on the loopback interface, on ports that are free now, and closed to everyone who has not the client key,
 * other users of the machine too. Its authority is not the pool's, so no provider's certificate opens it.
 */
export async function prepareEtcd(paths: PoolPaths, logger: Logger): Promise<SupervisedEtcd> {
  await mkdir(paths.etcd, { recursive: true, mode: 0o700 });
  await chmod(paths.etcd, 0o700);
  const directory = join(paths.etcd, 'pki');
  const pki = await openPki({ directory, serverNames: [], now: Date.now });
  const client = await pki.issueClientCertificate({ commonName: 'potluck-api-server', organizations: [], lifetimeMs: clientLifetimeMs });
  const files = { ca: join(directory, 'ca.crt'), cert: join(directory, 'client.crt'), key: join(directory, 'client.key') };
  await writeFileAtomically(files.cert, client.certPem, 0o600);
  await writeFileAtomically(files.key, client.keyPem, 0o600);
  const clientUrl = `https://127.0.0.1:${await freePort('127.0.0.1')}`;
  const peerUrl = `https://127.0.0.1:${await freePort('127.0.0.1')}`;
  const tls = { ca: pki.caPem, cert: client.certPem, key: client.keyPem };
  const child = superviseChild({
    name: 'etcd',
    command: 'etcd',
    args: etcdArguments(paths.etcd, directory, clientUrl, peerUrl),
    logFile: join(paths.logs, 'etcd.log'),
    pidFile: join(paths.run, 'etcd.pid'),
    readiness: { check: (signal) => isHealthy(clientUrl, tls, signal), timeoutMs: 30_000, intervalMs: 50 },
    stopTimeoutMs: 15_000,
    logger,
  });
  return {
    access: { servers: [clientUrl.replace('127.0.0.1', 'localhost')], caFile: files.ca, certFile: files.cert, keyFile: files.key },
    child,
  };
}

/** Flags of etcd 3.4 and newer; the limits leave room for objects of 3 MiB and bound the data to 2 GiB. */
function etcdArguments(directory: string, pki: string, clientUrl: string, peerUrl: string): string[] {
  const flags = {
    name: 'potluck',
    'data-dir': join(directory, 'data'),
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `potluck=${peerUrl}`,
    'cert-file': join(pki, 'server.crt'),
    'key-file': join(pki, 'server.key'),
    'client-cert-auth': 'true',
    'trusted-ca-file': join(pki, 'ca.crt'),
    'peer-cert-file': join(pki, 'server.crt'),
    'peer-key-file': join(pki, 'server.key'),
    'peer-client-cert-auth': 'true',
    'peer-trusted-ca-file': join(pki, 'ca.crt'),
    'max-request-bytes': '4194304',
    'quota-backend-bytes': '2147483648',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '30m',
    'snapshot-count': '10000',
    // One member elects itself: a shorter wait only makes the start quicker.
    'heartbeat-interval': '50',
    'election-timeout': '500',
    logger: 'zap',
    'log-outputs': 'stderr',
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

function isHealthy(url: string, tls: { ca: string; cert: string; key: string }, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/health`, { ...tls, servername: '', signal, timeout: 2_000, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', reject);
      response.on('end', () => resolve(response.statusCode === 200 && body.includes('"true"')));
    });
    sent.on('timeout', () => sent.destroy(new Error('etcd does not answer')));
    sent.on('error', reject);
    sent.end();
  });
}

/** The gateway as a part of `potluck server`: where its files are, and by which addresses it is reached. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../api/errors.ts';
import type { Gateway } from '../../api/generated/gateway.ts';
import { machineAddresses } from '../../apiserver/access/pki.ts';
import { createClient } from '../../client/kube-client.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { gatewayFamilies, gatewaySamples } from '../../gateway/gateway-metrics.ts';
import type { ServerCertificate } from '../../gateway/gateway-server.ts';
import { readOwnIdentity } from '../../gateway/own-identity.ts';
import type { OwnIdentity } from '../../gateway/own-identity.ts';
import { StreamBackend } from '../../gateway/streams/stream-backend.ts';
import { addCollectedMetrics } from '../../runtime/collected-metrics.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createMetrics, startMetricsServer } from '../../runtime/metrics.ts';
import type { HostPort } from '../command-line/host-port.ts';
import { ensureJumpHostKey } from '../ssh/jump-host-key.ts';
import type { PoolPaths } from '../up/pool-paths.ts';

export interface GatewayComponentOptions {
  paths: PoolPaths;
  listen: HostPort;
  /** Absent: the machine's own. */
  name: string | undefined;
  /** Names or addresses by which others reach it; absent: every address of the machine. */
  addresses: readonly string[] | undefined;
  /** Of the jump host beside it; absent: there is none. */
  sshPort: number | undefined;
  kubeconfig: string | undefined;
  /** Where Prometheus is served, in plain HTTP; absent: nowhere. */
  metricsListen: HostPort | undefined;
  logger: Logger;
  signal: AbortSignal;
  /** It cannot go on. */
  fail: (error: unknown) => void;
}

const certificateAttempts = 10;
const certificateRetryMs = 200;
/** As many as the definition allows. */
const mostAddresses = 16;

/** Answers what stops it. */
export async function startGatewayComponent(options: GatewayComponentOptions): Promise<() => Promise<void>> {
  const { paths, listen, addresses, logger, signal, fail, metricsListen } = options;
  const name = options.name ?? gatewayName(hostname());
  const kubeconfig = options.kubeconfig ?? join(paths.pki, 'gateway.kubeconfig');
  let known = await readOwnIdentity(kubeconfig);
  // A kubeconfig that is being written anew, or that we may not read any more, leaves what was known.
  const identity = async (): Promise<OwnIdentity> => (known = await readOwnIdentity(kubeconfig).catch(() => known));
  const ssh = await readJumpHost(options);
  const client = createClient({ kubeconfig, userAgent: 'potluck-gateway/0.1.0' });
  try {
    const gateway = await startGateway({
      name,
      client,
      listen,
      spec: (port) => {
        const spec = gatewaySpec({ host: listen.host, port }, addresses);
        return ssh === undefined ? spec : { ...spec, ssh: { host: hostOf(spec.peerAddress), ...ssh } };
      },
      identity,
      certificate: () => readCertificate(paths.pki),
      backend: (hub) => new StreamBackend({ hub, logger: logger.child({ part: 'streams' }) }),
      onTakenOver: () => fail(new Error(`another gateway goes by the name ${name}`)),
      logger,
      signal,
    });
    const { registry } = createMetrics();
    addCollectedMetrics(registry, gatewayFamilies, () => gatewaySamples(gateway.facts()));
    const metrics = metricsListen === undefined ? undefined : await startMetricsServer({ ...metricsListen, registry, logger });
    return async () => {
      await metrics?.close();
      await gateway.stop();
      client.close();
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

async function readJumpHost({ sshPort: port, paths }: GatewayComponentOptions): Promise<{ port: number; hostKey: string } | undefined> {
  if (port === undefined) return undefined;
  const { publicLine: hostKey } = await ensureJumpHostKey(paths);
  return { port, hostKey };
}

/** Of `host:port`, without brackets. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replaceAll(/[[\]]/g, '');
}

/** A DNS label: what cannot be in one becomes a hyphen. */
export function gatewayName(machine: string): string {
  const label = machine
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/gu, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/gu, '');
  return label === '' ? 'gateway' : label;
}

/** One that listens everywhere is reached by every address of the machine, and on the machine itself also where it has none. */
function gatewaySpec({ host, port }: HostPort, addresses: readonly string[] | undefined): Gateway['spec'] {
  const isEverywhere = host === '0.0.0.0' || host === '::' || host === '';
  const own = isEverywhere ? [...machineAddresses(networkInterfaces()), '127.0.0.1'] : [host];
  const usable = host === '0.0.0.0' ? own.filter((address) => !isIPv6(address)) : own;
  const all = [...new Set([...(addresses ?? []), ...usable])].slice(0, mostAddresses).map((address) => withPort(address, port));
  return { tunnelAddresses: all, peerAddress: all[0] ?? withPort('127.0.0.1', port) };
}

function withPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** The API server's, which writes key and certificate one after the other. Throws UserError where there is none. */
async function readCertificate(directory: string): Promise<ServerCertificate> {
  for (let attempt = 1; ; attempt += 1) {
    const [keyPem, certificate, caPem] = await Promise.all(['server.key', 'server.crt', 'ca.crt'].map((file) => readPem(directory, file)));
    if (keyPem === undefined || certificate === undefined || caPem === undefined) {
      const remedy = 'Start the API server with this --home first, or copy server.key, server.crt and ca.crt from it';
      throw new UserError('STATE_DAMAGED', `${directory} does not have the certificate of a server`, remedy);
    }
    if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(keyPem))) {
      return { keyPem, certPem: certificate + caPem, caPem };
    }
    if (attempt === certificateAttempts) {
      throw new UserError('STATE_DAMAGED', `${directory}/server.crt is not the certificate of server.key`, 'Restart the API server');
    }
    await delay(certificateRetryMs);
  }
}

async function readPem(directory: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

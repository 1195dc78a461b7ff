/** By what address, and by what authority, another machine finds the pool of a kubeconfig. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { NetworkInterfaceInfo } from 'node:os';
import { UserError } from '../../api/errors.ts';
import { currentEntries } from '../../client/kubeconfig.ts';
import type { LoadedKubeconfig } from '../../client/kubeconfig.ts';
import { authorityHash } from '../../node-agent/identity/find-authority.ts';

/** The hash of the authority that the kubeconfig trusts, as a join token has it. */
export async function readAuthorityHash(kubeconfig: LoadedKubeconfig, file: string): Promise<string> {
  const { cluster } = currentEntries(kubeconfig);
  const remedy = 'Use the kubeconfig that the pool wrote, or one with certificate-authority-data';
  if (cluster.caData === undefined && cluster.caFile === undefined) {
    throw new UserError('BAD_ARGUMENT', `${file} has no certificate authority, and a join token carries its hash`, remedy);
  }
  try {
    const pem = cluster.caData === undefined ? await readFile(cluster.caFile ?? '') : Buffer.from(cluster.caData, 'base64');
    return authorityHash(new X509Certificate(pem));
  } catch (error) {
    throw new UserError('BAD_ARGUMENT', `the certificate authority of ${file} cannot be read: ${(error as Error).message}`, remedy, {
      cause: error,
    });
  }
}

/** `https://HOST:PORT` without a path. Throws UserError for anything else. */
export function parseServerUrl(where: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '' && url.pathname === '/';
  if (url?.protocol === 'https:' && isPlain) return url;
  const shown = JSON.stringify(text.slice(0, 100));
  throw new UserError('BAD_ARGUMENT', `${where} ${shown} is not the URL of a pool`, 'For example https://pool.example.org:6443');
}

type Interfaces = Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>;

/** The server of the kubeconfig; where that is this machine alone, this machine's address in its network. Pure but for the default. */
export function reachableServer(kubeconfigServer: string, interfaces: Interfaces = networkInterfaces()): string {
  const url = new URL(kubeconfigServer);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!isLoopback(host)) return url.origin;
  const address = outwardAddress(interfaces);
  if (address === undefined) {
    const remedy = 'Say by what address it does: --server https://HOST:6443';
    throw new UserError('BAD_ARGUMENT', 'no address was found by which another machine reaches this one', remedy);
  }
  return `https://${isIPv6(address) ? `[${address}]` : address}${url.port === '' ? '' : `:${url.port}`}`;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === 'localhost' || host.endsWith('.localhost') : loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Networks that container engines make for themselves, ours among them. */
const containerInterface = /^(?:plk|docker|veth|br-|cni|flannel|virbr)/;

/** IPv4 first; addresses that count on one link only are none. */
function outwardAddress(interfaces: Interfaces): string | undefined {
  const addresses = Object.entries(interfaces)
    .filter(([name]) => !containerInterface.test(name))
    .flatMap(([, list = []]) => list)
    .filter(({ internal, address }) => !internal && !/^(?:fe80:|169\.254\.)/i.test(address));
  return (addresses.find(({ family }) => family === 'IPv4') ?? addresses[0])?.address;
}

import { mkdir, readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { signClientCertificate } from '../apiserver/access/certificates.ts';
import { writeKubeconfig } from '../apiserver/access/kubeconfig.ts';
import type { Provider } from '../api/generated/provider.ts';
import { apiVersionOf, providers } from '../api/resource-type.ts';
import { providersGroup, providerUser } from '../api/names.ts';
import { isAlreadyExists, isNotFound, type Client } from '../client/client.ts';
import { defaultOffer, readMachine, toLabel } from './up/machine.ts';
import type { PoolPaths } from './up/pool-paths.ts';

const dayMs = 86_400_000;
const identityLifetimeMs = 365 * dayMs;

export interface EnrollOptions {
  paths: PoolPaths;
  /** An admin's. */
  client: Client;
  /** URL at which the agent reaches the API. */
  server: string;
  /** Name of the Provider; made from the hostname when absent. */
  name: string | undefined;
  /** The invoking user when absent. */
  owner: string | undefined;
  signal: AbortSignal;
}

/**
 * Makes this machine a provider of the pool: creates its Provider unless it is there (what the owner changed stays), and writes the agent's
 * kubeconfig with a certificate for the Provider's uid. Answers the Provider.
 */
export async function enroll(options: EnrollOptions): Promise<Provider> {
  const { paths, client, server, signal } = options;
  const name = options.name ?? toLabel(hostname().split('.')[0] ?? '', 'this-machine');
  const provider = await getOrCreate(client, name, options.owner ?? invokingUser(), paths, signal);
  const uid = provider.metadata.uid ?? '';
  await mkdir(paths.agent, { recursive: true, mode: 0o700 });
  const read = (file: string): Promise<string> => readFile(join(paths.pki, file), 'utf8');
  const authority = { certPem: await read('ca.crt'), keyPem: await read('ca.key') };
  const subject = { commonName: providerUser(uid), organizations: [providersGroup] };
  const identity = await signClientCertificate(authority, subject, { nowMs: Date.now(), lifetimeMs: identityLifetimeMs });
  await writeKubeconfig({ path: paths.agentKubeconfig, server, caPem: authority.certPem, ...identity, user: subject.commonName });
  return provider;
}

async function getOrCreate(client: Client, name: string, owner: string, paths: PoolPaths, signal: AbortSignal): Promise<Provider> {
  try {
    return await client.get(providers, { name }, { signal });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const provider: Provider = {
    apiVersion: apiVersionOf(providers),
    kind: providers.kind,
    metadata: { name },
    spec: { owner, offer: defaultOffer(await readMachine(paths.home)) },
  };
  try {
    return await client.create(providers, provider, { signal });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    return await client.get(providers, { name }, { signal });
  }
}

/** Behind `sudo`, whoever called it. */
function invokingUser(): string {
  return toLabel(process.env['SUDO_USER'] ?? userInfo().username, 'owner');
}

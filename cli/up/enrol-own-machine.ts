/** The machine that runs the pool lends itself as any other does: by a token, through the API. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from '../../api/errors.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { joinTokens, providers } from '../../api/resource-type.ts';
import { isNotFound, type Client } from '../../client/client.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { readAgentKubeconfig, writeAgentKubeconfig, type AgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import { formerOf, readEnrolment, writeEnrolment, type Enrolment } from '../../node-agent/identity/enrolment.ts';
import { authorityHash } from '../../node-agent/identity/find-authority.ts';
import { readIdentityKey } from '../../node-agent/identity/identity-key.ts';
import { joinPool } from '../../node-agent/identity/join-pool.ts';
import { createToken } from '../token/create.ts';
import { defaultOffer, readMachine, toLabel } from './machine.ts';
import type { PoolPaths } from './pool-paths.ts';

export interface EnrolOptions {
  paths: PoolPaths;
  /** An admin's. */
  client: Client;
  /** At which the agent reaches the API. */
  server: URL;
  /** Of the Provider; as before, or the hostname, when absent. */
  name: string | undefined;
  /** The invoking user when absent. */
  owner: string | undefined;
  /** As given to `--engine`. */
  engine: string;
  /** As given to `--owner-policy`. */
  ownerPolicy: string;
  signal: AbortSignal;
}

const tokenLifeMs = 600_000;
const answerTimeoutMs = 30_000;
/** The controller of this pool signs; it has just been started. */
const approvalTimeoutMs = 60_000;

/** What its owner changed of the Provider stays. Answers the Provider. Throws UserError when the machine cannot be what it was told to be. */
export async function enrolOwnMachine(options: EnrolOptions): Promise<Provider> {
  const folder = agentFolder(options.paths.home);
  const before = await readEnrolment(folder);
  if (before?.by === 'join') {
    const remedy = 'Leave it first, with potluck leave; or choose another --home';
    throw new UserError('ALREADY_JOINED', `this machine is ${before.providerName} in a pool that runs elsewhere`, remedy);
  }
  const name = options.name ?? before?.providerName ?? toLabel(hostname().split('.')[0] ?? '', 'this-machine');
  const known = await findProvider(options.client, name, options.signal);
  const kept = known === undefined ? undefined : await keepIdentity(known, before, options);
  if (known !== undefined && kept !== undefined) {
    await finish(kept, options);
    return known;
  }
  const joined = await joinAnew(name, known, options);
  await finish(
    { ...joined, engine: options.engine, ownerPolicy: resolve(options.ownerPolicy), by: 'up', ...formerOf(before, joined.providerUid) },
    options,
  );
  return options.client.get(providers, { name: joined.providerName }, { signal: options.signal });
}

async function finish(enrolment: Enrolment, { paths }: EnrolOptions): Promise<void> {
  await writeEnrolment(agentFolder(paths.home), enrolment);
}

async function findProvider(client: Client, name: string, signal: AbortSignal): Promise<Provider | undefined> {
  try {
    return await client.get(providers, { name }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/**
 * Undefined unless the machine has the key and a certificate of this very Provider. Whether that certificate is over does not matter: the
 * agent gets itself a new one. The address of the API may be another than at the last start.
 */
async function keepIdentity(known: Provider, before: Enrolment | undefined, options: EnrolOptions): Promise<Enrolment | undefined> {
  const folder = agentFolder(options.paths.home);
  const { uid: providerUid = '', name: providerName = '' } = known.metadata;
  const key = await readIdentityKey(folder.identityKey);
  if (before?.providerUid !== providerUid || key === undefined || key.publicKey !== known.spec.identityKey) return undefined;
  const kubeconfig = await readAgentKubeconfig(folder.kubeconfig).catch(() => undefined);
  const caPem = await readAuthority(options.paths);
  if (kubeconfig?.providerUid !== providerUid || !isSignedBy(kubeconfig, caPem)) return undefined;
  const server = options.server.origin;
  if (kubeconfig.server !== server || kubeconfig.caPem !== caPem)
    await writeAgentKubeconfig(folder.kubeconfig, { ...kubeconfig, server, caPem });
  return {
    providerName,
    providerUid,
    engine: options.engine,
    ownerPolicy: resolve(options.ownerPolicy),
    by: 'up',
    ...formerOf(before, providerUid),
  };
}

function isSignedBy({ certPem }: AgentKubeconfig, caPem: string): boolean {
  return new X509Certificate(certPem).verify(new X509Certificate(caPem).publicKey);
}

async function joinAnew(
  name: string,
  known: Provider | undefined,
  options: EnrolOptions,
): Promise<{ providerName: string; providerUid: string }> {
  const { client, paths, server, signal } = options;
  const owner = known?.spec.owner ?? options.owner ?? invokingUser();
  const wish = { owner, ttlMs: tokenLifeMs, uses: 1, providerName: name, approval: 'Automatic' } as const;
  const { id, secret } = await createToken(client, wish, signal);
  try {
    return await joinPool({
      server,
      token: { id, secret, caHash: authorityHash(new X509Certificate(await readAuthority(paths))) },
      folder: agentFolder(paths.home),
      proposal: { name, offer: defaultOffer(await readMachine(paths.home)) },
      answerTimeoutMs,
      approvalTimeoutMs,
      signal,
      step: (_label, run) => run(() => undefined),
    });
  } finally {
    // It has done what it was for; if it cannot be deleted now, it is over in a while.
    await client.delete(joinTokens, { name: id }, { timeoutMs: 5_000 }).catch(() => undefined);
  }
}

async function readAuthority({ pki }: PoolPaths): Promise<string> {
  return readFile(join(pki, 'ca.crt'), 'utf8');
}

/** Behind `sudo`, whoever called it. */
function invokingUser(): string {
  return toLabel(process.env['SUDO_USER'] ?? userInfo().username, 'owner');
}

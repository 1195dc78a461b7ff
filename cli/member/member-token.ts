/** Tokens by which members get in: each is bound to a Secret, whose end is the token's end. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { UserError } from '../../api/errors.ts';
import type { Member } from '../../api/generated/member.ts';
import { memberLabel, memberNamespace } from '../../api/names.ts';
import { keyOf } from '../../api/object.ts';
import { apiVersionOf, members, secrets } from '../../api/resource-type.ts';
import type { Secret } from '../../api/resource-type.ts';
import { formatTime, parseTime } from '../../api/time.ts';
import { isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import { parseDuration } from '../command-line/parse-duration.ts';
import type { StringFlag } from '../command-line/command.ts';
import { parseServerUrl, reachableServer } from '../token/pool-address.ts';

export const tokenFlags = {
  'token-ttl': { type: 'string', value: 'DURATION', default: '720h', description: 'how long the token lives, from 10m to 365d' },
  server: { type: 'string', value: 'URL', description: 'where the member reaches the pool; default as this machine does' },
} as const satisfies Record<string, StringFlag>;

const shortestMs = 600_000;
const longestMs = 365 * 86_400_000;
const secretType = 'potluck.dev/member-token';
/** How long the token of a Secret lives from the Secret's creation on. */
const ttlAnnotation = 'potluck.dev/token-ttl-seconds';

export interface TokenOptions {
  ttlSeconds: number;
  /** Where the member reaches the API, and the authority that it is of. */
  server: string;
  caData: string;
}

/** Reads the flags; `kubeconfig` is the file of who runs the command. Throws UserError for what cannot be. */
export async function readTokenOptions(
  values: { readonly 'token-ttl': string; readonly server: string | undefined },
  kubeconfig: string,
): Promise<TokenOptions> {
  const ttlSeconds = parseDuration('token-ttl', values['token-ttl'], longestMs, shortestMs) / 1000;
  const { cluster } = currentEntries(await loadKubeconfig(kubeconfig));
  const caData = cluster.caData ?? (cluster.caFile === undefined ? undefined : (await readFile(cluster.caFile)).toString('base64'));
  if (caData === undefined) {
    throw new UserError(
      'BAD_ARGUMENT',
      `${kubeconfig} does not have the certificate of the pool's authority`,
      'Use the kubeconfig that potluck up prints',
    );
  }
  const server = values.server === undefined ? reachableServer(cluster.server) : parseServerUrl('--server', values.server).origin;
  return { ttlSeconds, server, caData };
}

export interface MemberToken {
  /** The Secret's; what `potluck member token delete` takes. */
  name: string;
  member: string;
  expirationTimestamp: string;
}

export interface NewMemberToken extends MemberToken {
  kubeconfig: object;
}

/** Throws UserError for a member that does not exist. */
export async function getMember(client: Client, name: string): Promise<Member> {
  try {
    return await client.get(members, { name });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new UserError('BAD_ARGUMENT', `there is no member ${JSON.stringify(name)}`, 'potluck member list shows them', { cause: error });
  }
}

/** Makes the Secret, and then the token that is bound to it; takes away what is left of the member's tokens that ran out. */
export async function createMemberToken(client: Client, member: Member, options: TokenOptions): Promise<NewMemberToken> {
  const { name = '' } = member.metadata;
  await removeExpired(client, name);
  const secret = await client.create(secrets, secretFor(member, options.ttlSeconds));
  try {
    const { token, expirationTimestamp } = await requestToken(client, name, secret, options.ttlSeconds);
    const kubeconfig = memberKubeconfig(name, token, options);
    return { name: secret.metadata.name ?? '', member: name, expirationTimestamp, kubeconfig };
  } catch (error) {
    await client.delete(secrets, keyOf(secret)).catch(() => undefined);
    throw error;
  }
}

function secretFor({ metadata: { name = '', uid = '' } }: Member, ttlSeconds: number): Secret {
  const ownerReferences = [{ apiVersion: apiVersionOf(members), kind: members.kind, name, uid }];
  const annotations = { [ttlAnnotation]: String(ttlSeconds) };
  const secretName = `${name}-${randomBytes(4).toString('hex')}`;
  const metadata = { name: secretName, namespace: memberNamespace, labels: { [memberLabel]: name }, annotations, ownerReferences };
  return { apiVersion: apiVersionOf(secrets), kind: secrets.kind, metadata, type: secretType };
}

async function requestToken(
  client: Client,
  account: string,
  { metadata: { name = '', uid = '' } }: Secret,
  expirationSeconds: number,
): Promise<{ token: string; expirationTimestamp: string }> {
  const path = `/api/v1/namespaces/${memberNamespace}/serviceaccounts/${encodeURIComponent(account)}/token`;
  const spec = { expirationSeconds, boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name, uid } };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec };
  const { status } = (await client.request('POST', path, request)) as { status: { token: string; expirationTimestamp: string } };
  return status;
}

/** The member's own namespace is where it begins. */
function memberKubeconfig(member: string, token: string, { server, caData }: TokenOptions): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'potluck', cluster: { server, 'certificate-authority-data': caData } }],
    users: [{ name: member, user: { token } }],
    contexts: [{ name: 'potluck', context: { cluster: 'potluck', user: member, namespace: member } }],
    'current-context': 'potluck',
    preferences: {},
  };
}

/** Of one member, or of all; the oldest first. */
export async function listMemberTokens(client: Client, member?: string): Promise<(MemberToken & { secret: Secret })[]> {
  const { items } = await client.list(secrets, {
    namespace: memberNamespace,
    labelSelector: member === undefined ? memberLabel : `${memberLabel}=${member}`,
  });
  return items.filter(({ type }) => type === secretType).map(describeToken);
}

export function describeToken(secret: Secret): MemberToken & { secret: Secret } {
  const { name = '', labels, annotations, creationTimestamp } = secret.metadata;
  const createdMs = parseTime(creationTimestamp) ?? 0;
  const expirationTimestamp = formatTime(createdMs + Number(annotations?.[ttlAnnotation] ?? 0) * 1000);
  return { name, member: labels?.[memberLabel] ?? '', expirationTimestamp, secret };
}

export function isMemberToken({ type, metadata }: Secret): boolean {
  return type === secretType && metadata.labels?.[memberLabel] !== undefined;
}

async function removeExpired(client: Client, member: string): Promise<void> {
  const nowMs = Date.now();
  // A minute more: clocks differ.
  const expired = (await listMemberTokens(client, member)).filter(
    ({ expirationTimestamp }) => (parseTime(expirationTimestamp) ?? nowMs) + 60_000 < nowMs,
  );
  for (const { secret } of expired) {
    await client.delete(secrets, keyOf(secret)).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
}

/** What a command prints of a new token: the kubeconfig alone, or with what there is to know of it. */
export function formatNewToken(token: NewMemberToken, output: string): string {
  return `${JSON.stringify(output === 'json' ? token : token.kubeconfig, null, 2)}\n`;
}

/** For standard error, so that standard output can go into a file. */
export function sayNewToken({ name, member, expirationTimestamp }: MemberToken): string {
  return (
    `The kubeconfig of ${member} goes to standard output. Its token expires ${expirationTimestamp}; ` +
    `until then potluck member token delete ${name} ends it.\n`
  );
}

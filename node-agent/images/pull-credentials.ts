/**
 * Which credentials from `imagePullSecrets` are for an image. Forms of secrets and rules of matching are kubelet's (`pkg/credentialprovider`:
 * `config.go`, `keyring.go`). What is read here is handed to the engine and nowhere else. Pure.
 */
import { parseImageReference } from '../../api/image-reference.ts';

export interface RegistryCredentials {
  username: string;
  password: string;
}

/** What is wrong with a secret, without anything of what is in it. */
export class PullSecretError extends Error {
  override readonly name = 'PullSecretError';
}

/** Registries of all secrets of one instance; for one registry more credentials than anybody needs are not tried. */
const mostTried = 8;
/** Kubernetes' bound of a secret. */
const longestSecret = 1024 * 1024;

interface Entry {
  host: string;
  port: string;
  /** Begins with a slash, or is empty. */
  path: string;
  credentials: RegistryCredentials;
}

/** `v1` Secret, as far as it is read; values are base64. */
export interface PullSecret {
  type?: string;
  data?: Readonly<Record<string, string>> | null;
}

const forms = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
} as const;

/** Credentials that may be for the image, the most specific first. Throws {@link PullSecretError} for a secret that is none. */
export function credentialsFor(image: string, secrets: readonly { name: string; secret: PullSecret }[]): RegistryCredentials[] {
  const entries = secrets.flatMap(({ name, secret }) => entriesOf(name, secret));
  const { registry, repository } = parseImageReference(image);
  // Docker Hub is written in several ways.
  const targets = registry === 'docker.io' ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [registry];
  return entries
    .filter((entry) => targets.some((target) => matches(entry, target, `/${repository}`)))
    .sort((a, b) => b.path.length - a.path.length || wildcards(a) - wildcards(b))
    .slice(0, mostTried)
    .map(({ credentials }) => credentials);
}

function wildcards({ host }: Entry): number {
  return host.split('*').length;
}

function entriesOf(name: string, { type = '', data }: PullSecret): Entry[] {
  const key = Object.hasOwn(forms, type) ? forms[type as keyof typeof forms] : undefined;
  if (key === undefined) {
    throw new PullSecretError(`the secret ${name} is of type ${JSON.stringify(type)}, not ${Object.keys(forms).join(' or ')}`);
  }
  const text = data?.[key];
  if (text === undefined) throw new PullSecretError(`the secret ${name} has no ${key}`);
  const parsed = parseConfig(name, key, text);
  const auths = key === '.dockerconfigjson' ? parsed['auths'] : parsed;
  if (!isObject(auths)) throw new PullSecretError(`the ${key} of the secret ${name} has no registries`);
  return Object.entries(auths).flatMap(([location, auth]) => entryOf(location, auth) ?? []);
}

function parseConfig(name: string, key: string, base64: string): Record<string, unknown> {
  let value: unknown;
  try {
    if (base64.length > longestSecret * 1.4) throw new Error('too long');
    value = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  } catch {
    // The parser's own words would show a piece of it.
    throw new PullSecretError(`the ${key} of the secret ${name} is no JSON`);
  }
  if (!isObject(value)) throw new PullSecretError(`the ${key} of the secret ${name} is no object`);
  return value;
}

/** Undefined for an entry without credentials. */
function entryOf(location: string, auth: unknown): Entry | undefined {
  const credentials = credentialsOf(auth);
  if (credentials === undefined) return undefined;
  const [, hostAndPort = '', rawPath = ''] = /^(?:https?:\/\/)?([^/]*)(.*)$/s.exec(location) ?? [];
  const [, host = '', port = ''] = /^(.*?)(?::(\d+))?$/s.exec(hostAndPort) ?? [];
  // `https://index.docker.io/v1/` stands for the host.
  const path = rawPath.replace(/^\/v[12]\/?/, '/').replace(/\/$/, '');
  return host === '' ? undefined : { host: host.toLowerCase(), port, path, credentials };
}

/** `auth` is base64 of `username:password`, and wins over the two. */
function credentialsOf(auth: unknown): RegistryCredentials | undefined {
  if (!isObject(auth)) return undefined;
  if (typeof auth['auth'] === 'string' && auth['auth'] !== '') {
    const text = Buffer.from(auth['auth'], 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = text.indexOf(':');
    return colon === -1 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  const { username, password } = auth;
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined;
}

/** Part by part of the host, where `*` stands for any text within one; the same port; and the path a prefix, as kubelet takes it. */
function matches(entry: Entry, registry: string, path: string): boolean {
  const [, host = '', port = ''] = /^(.*?)(?::(\d+))?$/s.exec(registry.toLowerCase()) ?? [];
  if (entry.port !== port) return false;
  const [wanted, parts] = [entry.host.split('.'), host.split('.')];
  const isHost = wanted.length === parts.length && wanted.every((part, index) => matchesPart(part, parts[index] ?? ''));
  return isHost && path.startsWith(entry.path);
}

function matchesPart(pattern: string, part: string): boolean {
  const [start = '', ...rest] = pattern.split('*');
  const end = rest.at(-1);
  if (end === undefined) return pattern === part;
  if (!part.startsWith(start) || part.length < start.length + end.length || !part.endsWith(end)) return false;
  let from = start.length;
  for (const middle of rest.slice(0, -1)) {
    const at = part.indexOf(middle, from);
    if (at === -1) return false;
    from = at + middle.length;
  }
  return from <= part.length - end.length;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

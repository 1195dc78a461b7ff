/** Asks a registry how large an image is before anything of it is fetched: the sum that its manifest names (OCI distribution specification). */
import { parseImageReference } from '../../api/image-reference.ts';
import type { RegistryCredentials } from './pull-credentials.ts';

export interface SizeQuestion {
  reference: string;
  /** In Go's names. */
  architecture: string;
  credentials?: RegistryCredentials;
}

const index = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];
const single = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
const accept = [...index, ...single].join(', ');
/** Of manifests, which registries bound themselves, and of tokens. */
const longestBody = 4 * 1024 * 1024;

/**
 * Bytes as they are transferred, compressed. Rejects when the registry does not tell: it cannot be reached, refuses, or has a manifest of another
 * form.
 */
export async function imageSize({ reference, architecture, credentials }: SizeQuestion, signal: AbortSignal): Promise<number> {
  const { registry, repository, tag = 'latest', digest } = parseImageReference(reference);
  const client = new RegistryClient(registry, repository, credentials, signal);
  let manifest = await client.manifest(digest ?? tag);
  const chosen = platformDigest(manifest, architecture);
  if (chosen !== undefined) manifest = await client.manifest(chosen);
  return manifestBytes(manifest);
}

/** Of an index, the manifest for Linux on this architecture; undefined for a manifest of one image. */
export function platformDigest(manifest: unknown, architecture: string): string | undefined {
  const { manifests } = objectOf(manifest);
  if (!Array.isArray(manifests)) return undefined;
  const fitting = manifests.map(objectOf).find(({ platform }) => {
    const { os, architecture: found } = objectOf(platform);
    return os === 'linux' && found === architecture;
  });
  if (typeof fitting?.['digest'] !== 'string') throw new Error(`the image has no variant for linux/${architecture}`);
  return fitting['digest'];
}

/** The configuration and all layers. */
export function manifestBytes(manifest: unknown): number {
  const { config, layers } = objectOf(manifest);
  if (!Array.isArray(layers)) throw new Error('the manifest names no layers');
  return [config, ...(layers as unknown[])].reduce<number>((sum, part) => {
    const { size } = objectOf(part);
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw new Error('the manifest names no sizes');
    return sum + size;
  }, 0);
}

/** `Bearer realm="…",service="…"`: the scheme in lower case, and its parameters. */
export function parseChallenge(header: string): { scheme: string; parameters: Record<string, string> } {
  const scheme = (/^\s*([^\s,]+)/.exec(header)?.[1] ?? '').toLowerCase();
  const parameters = Object.fromEntries(
    [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name.toLowerCase(), value]),
  );
  return { scheme, parameters };
}

/** Docker speaks plain HTTP with registries on the machine itself alone. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

class RegistryClient {
  readonly #bases: readonly string[];
  readonly #repository: string;
  readonly #credentials: RegistryCredentials | undefined;
  readonly #signal: AbortSignal;
  #authorization: string | undefined;

  constructor(registry: string, repository: string, credentials: RegistryCredentials | undefined, signal: AbortSignal) {
    const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
    this.#bases = isLoopback(registry) ? [`https://${host}`, `http://${host}`] : [`https://${host}`];
    this.#repository = repository;
    this.#credentials = credentials;
    this.#signal = signal;
  }

  async manifest(reference: string): Promise<unknown> {
    const path = `/v2/${this.#repository}/manifests/${encodeURIComponent(reference)}`;
    let response = await this.#get(path);
    if (response.status === 401) {
      this.#authorization = await this.#authorize(response.headers.get('www-authenticate') ?? '');
      response = await this.#get(path);
    }
    if (!response.ok) throw new Error(`the registry answered ${response.status}`);
    return readJson(response);
  }

  async #get(path: string): Promise<Response> {
    let failure: unknown;
    for (const base of this.#bases) {
      try {
        const headers = { accept, ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }) };
        return await fetch(`${base}${path}`, { headers, signal: this.#signal });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #authorize(header: string): Promise<string> {
    const { scheme, parameters } = parseChallenge(header);
    const basic = this.#credentials === undefined ? undefined : basicAuthorization(this.#credentials);
    if (scheme === 'basic' && basic !== undefined) return basic;
    const realm = scheme === 'bearer' ? parameters['realm'] : undefined;
    if (realm === undefined) throw new Error('the registry wants credentials');
    const url = new URL(realm);
    // A registry that is not on this machine does not lead to anything without TLS.
    if (url.protocol !== 'https:' && this.#bases.length === 1) throw new Error('the registry has its tokens from a place without TLS');
    if (parameters['service'] !== undefined) url.searchParams.set('service', parameters['service']);
    url.searchParams.set('scope', `repository:${this.#repository}:pull`);
    const response = await fetch(url, { headers: basic === undefined ? {} : { authorization: basic }, signal: this.#signal });
    if (!response.ok) throw new Error(`the registry's token service answered ${response.status}`);
    const answer = objectOf(await readJson(response));
    const token = answer['token'] ?? answer['access_token'];
    if (typeof token !== 'string') throw new Error("the registry's token service gave no token");
    return `Bearer ${token}`;
  }
}

function basicAuthorization({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

async function readJson(response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += (chunk as Uint8Array).length;
    if (length > longestBody) throw new Error('the registry answered with more than it should');
    chunks.push(chunk as Uint8Array);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

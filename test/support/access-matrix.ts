/**
 * Every verb of every discovered resource and subresource, on what is one's own, on another's and on what is nobody's: sends each as one user
 * and says which were allowed. Everything is a dry run, so that the cells do not disturb each other.
 */
import type { Client } from '../../client/client.ts';
import type { Credentials, RawAnswer, RawRequest } from './https-request.ts';
import { openRequest, rawRequest } from './https-request.ts';

export const owners = ['own', 'other', 'free'] as const;
export type Owner = (typeof owners)[number];

/** A resource or subresource as discovery lists it; `resource` without its subresource. */
export interface DiscoveredResource {
  group: string;
  version: string;
  resource: string;
  subresource: string | undefined;
  kind: string;
  namespaced: boolean;
  verbs: readonly string[];
}

/** Where an owner's object of one resource is, and how to make another like it. */
export interface MatrixTarget {
  namespace?: string;
  name: string;
  /** Goes with lists, watches and collection deletes. */
  fieldSelector?: string;
  /** A new object, for `create`. */
  manifest: object;
}

export interface Cell {
  resource: DiscoveredResource;
  verb: string;
  owner: Owner;
  answer: RawAnswer;
}

/** `group/resource/subresource`, the core group without the first part. */
export function resourceName({ group, resource, subresource }: DiscoveredResource): string {
  return [group, resource, subresource].filter((part) => part !== undefined && part !== '').join('/');
}

interface ResourceListBody {
  groupVersion: string;
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/** By the API's own discovery, as an admin sees it. */
export async function discoverResources(client: Client): Promise<DiscoveredResource[]> {
  const groups = (await client.request('GET', '/apis')) as { groups: { versions: { groupVersion: string }[] }[] };
  const paths = ['/api/v1', ...groups.groups.flatMap(({ versions }) => versions.map(({ groupVersion }) => `/apis/${groupVersion}`))];
  const lists = await Promise.all(paths.map((path) => client.request('GET', path) as Promise<ResourceListBody>));
  return lists.flatMap(({ groupVersion, resources }) => {
    const [group, version] = groupVersion.includes('/') ? groupVersion.split('/') : ['', groupVersion];
    return resources.map(({ name, kind, namespaced, verbs }) => {
      const [resource = '', subresource] = name.split('/');
      return { group: group ?? '', version: version ?? '', resource, subresource, kind, namespaced, verbs };
    });
  });
}

export interface MatrixUser {
  url: string;
  credentials: Credentials;
  headers: Record<string, string>;
}

/** Sends one cell. `current` is the object as it is, for `update`. */
export function sendCell(
  user: MatrixUser,
  resource: DiscoveredResource,
  verb: string,
  target: MatrixTarget,
  current: unknown,
): Promise<RawAnswer> {
  const { group, version, subresource } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const place = target.namespace === undefined || !resource.namespaced ? '' : `/namespaces/${target.namespace}`;
  const collection = `${root}${place}/${resource.resource}`;
  const object = `${collection}/${target.name}${subresource === undefined ? '' : `/${subresource}`}`;
  const selector = target.fieldSelector === undefined ? '' : `&fieldSelector=${encodeURIComponent(target.fieldSelector)}`;
  const json = (method: string, body: unknown): RawRequest => ({
    method,
    headers: { ...user.headers, 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
    body: JSON.stringify(body),
  });
  const plain = (method: string): RawRequest => ({ method, headers: user.headers });
  const send = (path: string, request: RawRequest): Promise<RawAnswer> => rawRequest(`${user.url}${path}`, user.credentials, request);
  switch (verb) {
    case 'get':
      return send(object, plain('GET'));
    case 'list':
      return send(`${collection}?limit=5${selector}`, plain('GET'));
    case 'watch':
      return watchBriefly(user, `${collection}?watch=1&timeoutSeconds=5${selector}`);
    case 'create':
      return send(`${subresource === undefined ? collection : object}?dryRun=All`, json('POST', target.manifest));
    case 'update':
      return send(`${object}?dryRun=All`, json('PUT', current));
    case 'patch':
      return send(`${object}?dryRun=All`, json('PATCH', {}));
    case 'delete':
      return send(`${object}?dryRun=All`, plain('DELETE'));
    case 'deletecollection':
      return send(`${collection}?dryRun=All${selector}`, plain('DELETE'));
    default:
      throw new TypeError(`no request is known for the verb ${verb}`);
  }
}

/** A watch that was let in has no end; its head is the answer. */
async function watchBriefly({ url, credentials, headers }: MatrixUser, path: string): Promise<RawAnswer> {
  const incoming = await openRequest(`${url}${path}`, credentials, { headers });
  const code = incoming.statusCode ?? 0;
  if (code === 200) {
    incoming.destroy();
    return { code, headers: incoming.headers, body: Buffer.alloc(0), json: undefined };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return { code, headers: incoming.headers, body, json: JSON.parse(body.toString()) as Record<string, unknown> };
}

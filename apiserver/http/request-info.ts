/**
 * Reads a request's method and URL as Kubernetes does (k8s.io/apiserver `pkg/endpoints/request/requestinfo.go`). Pure.
 */
import { parseSelectedFields } from '../../api/selector.ts';
import { badRequest } from '../registry/status-error.ts';
import { parseBoolean } from './query-options.ts';

export type RequestInfo = ResourceRequest | PathRequest;

/** A request that is not about a resource: discovery, health, and whatever does not exist. */
export interface PathRequest {
  kind: 'path';
  /** The method in lower case. */
  verb: string;
  path: string;
}

export interface ResourceRequest {
  kind: 'resource';
  verb: ResourceVerb;
  /** Empty for the core group. */
  group: string;
  version: string;
  resource: string;
  namespace?: string;
  name?: string;
  subresource?: string;
  /** Of requests for collections: fields that the selector narrows to one value. */
  selectedFields?: ReadonlyMap<string, string>;
}

export type ResourceVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

const namespaceSubresources = ['status', 'finalize'];

/** `path` is the URL's, still encoded. Throws 400 for names that cannot be a segment of a path. */
export function parseRequest(method: string, path: string, query: URLSearchParams): RequestInfo {
  const segments = splitPath(path);
  const pathRequest: PathRequest = { kind: 'path', verb: method.toLowerCase(), path };
  const type = segments === undefined ? undefined : splitType(segments);
  if (type === undefined) return pathRequest;
  const place = parsePlace(type.rest);
  const verb = place === undefined ? undefined : verbOf(method, place.name !== undefined, query);
  if (place === undefined || verb === undefined) return pathRequest;
  checkSegment('Namespace', place.namespace);
  checkSegment('Name', place.name);
  const selectedFields = selectsObjects(verb) ? parseSelectedFields(query.get('fieldSelector') ?? '') : new Map<string, string>();
  const name = place.name ?? selectedName(selectedFields);
  return {
    kind: 'resource',
    verb,
    group: type.group,
    version: type.version,
    ...place,
    ...(name === undefined ? {} : { name }),
    ...(selectedFields.size === 0 ? {} : { selectedFields }),
  };
}

function splitPath(path: string): string[] | undefined {
  const trimmed = path.replace(/^\//u, '').replace(/\/$/u, '');
  const segments = trimmed.split('/');
  if (segments.includes('')) return undefined;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    throw badRequest(`invalid URL escape in path ${JSON.stringify(path)}`);
  }
}

function splitType(segments: readonly string[]): { group: string; version: string; rest: string[] } | undefined {
  const [prefix, first = '', second = ''] = segments;
  if (prefix === 'api' && segments.length > 2) return { group: '', version: first, rest: segments.slice(2) };
  if (prefix === 'apis' && segments.length > 3) return { group: first, version: second, rest: segments.slice(3) };
  return undefined;
}

type Place = Pick<ResourceRequest, 'resource' | 'namespace' | 'name' | 'subresource'>;

/** `rest` is what follows the version, at least one segment. */
function parsePlace(rest: readonly string[]): Place | undefined {
  const [first = '', second, third, ...more] = rest;
  if (first === 'namespaces' && second !== undefined) {
    if (third === undefined) return { resource: 'namespaces', namespace: second, name: second };
    if (namespaceSubresources.includes(third) && more.length === 0) {
      return { resource: 'namespaces', namespace: second, name: second, subresource: third };
    }
    return parseObject(third, more, second);
  }
  return parseObject(first, rest.slice(1), undefined);
}

function parseObject(resource: string, rest: readonly string[], namespace: string | undefined): Place | undefined {
  const [name, subresource] = rest;
  if (rest.length > 2) return undefined;
  return {
    resource,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function verbOf(method: string, named: boolean, query: URLSearchParams): ResourceVerb | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (named) return 'get';
      return method === 'GET' && parseBoolean(query.get('watch')) ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      return undefined;
  }
}

function selectsObjects(verb: ResourceVerb): boolean {
  return verb === 'list' || verb === 'watch' || verb === 'deletecollection';
}

/** A collection narrowed to one object by `metadata.name=x` is authorized as a request for that object. */
function selectedName(selectedFields: ReadonlyMap<string, string>): string | undefined {
  const name = selectedFields.get('metadata.name');
  return name === '' ? undefined : name;
}

function checkSegment(what: string, segment: string | undefined): void {
  if (segment === undefined) return;
  const problem =
    segment === '.' || segment === '..'
      ? `may not be '${segment}'`
      : segment.includes('/')
        ? "may not contain '/'"
        : segment.includes('%')
          ? "may not contain '%'"
          : undefined;
  if (problem !== undefined) throw badRequest(`${what} parameter invalid: ${JSON.stringify(segment)}: ${problem}`);
}

/** Which form an answer takes, and in which form a body came. Pure. After k8s.io/apiserver `pkg/endpoints/handlers/negotiation`. */
import type { PatchType } from '../registry/resource.ts';
import { StatusError } from '../registry/status-error.ts';

export interface Format {
  encoding: 'json' | 'yaml';
  /** What the client wants to see of the object; the object itself when absent. */
  as?: Transform;
}

export interface Transform {
  kind: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  version: 'v1' | 'v1beta1';
}

interface Clause {
  type: string;
  parameters: ReadonlyMap<string, string>;
  quality: number;
}

const served = ['application/json', 'application/yaml'];
const transforms = ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'];

/** The clauses of an Accept header, best first; those of equal quality in the order given. */
export function parseAccept(header: string | undefined): Clause[] {
  const clauses = (header === undefined || header.trim() === '' ? '*/*' : header).split(',').map(parseClause);
  return clauses.filter((clause) => clause.quality > 0).sort((a, b) => b.quality - a.quality);
}

function parseClause(text: string): Clause {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf('=');
    if (equals > 0) parameters.set(part.slice(0, equals).toLowerCase(), part.slice(equals + 1).replace(/^"(.*)"$/u, '$1'));
  }
  const quality = Number(parameters.get('q') ?? '1');
  return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 1 : quality };
}

/** The best form of a resource that both sides know; 406 when there is none. */
export function negotiateResource(accept: string | undefined): Format {
  for (const clause of parseAccept(accept)) {
    const encoding = encodingOf(clause.type);
    const as = encoding === undefined ? undefined : transformOf(clause.parameters);
    if (encoding !== undefined && as !== undefined) return as === 'object' ? { encoding } : { encoding, as };
  }
  throw notAcceptable();
}

/** For answers that are no resource (discovery, Status): no transforms; JSON when the client accepts none of ours. */
export function negotiatePlain(accept: string | undefined): 'json' | 'yaml' {
  for (const clause of parseAccept(accept)) {
    const encoding = encodingOf(clause.type);
    if (encoding !== undefined) return encoding;
  }
  return 'json';
}

function encodingOf(type: string): Format['encoding'] | undefined {
  if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json';
  return type === 'application/yaml' ? 'yaml' : undefined;
}

function transformOf(parameters: ReadonlyMap<string, string>): Transform | 'object' | undefined {
  const kind = parameters.get('as');
  if (kind === undefined) return 'object';
  const version = parameters.get('v');
  if (!transforms.includes(kind) || parameters.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined;
  return { kind: kind as Transform['kind'], version };
}

export function notAcceptable(message = `only the following media types are accepted: ${served.join(', ')}`): StatusError {
  return new StatusError({ message, reason: 'NotAcceptable', code: 406 });
}

export type BodyEncoding = 'json' | 'yaml' | 'protobuf';

/** An absent Content-Type is JSON; 415 for what we do not read. Protobuf is for built-in types only. */
export function bodyEncoding(contentType: string | undefined, acceptsProtobuf: boolean): BodyEncoding {
  switch (mediaType(contentType)) {
    case '':
    case '*/*':
    case 'application/json':
      return 'json';
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml':
      return 'yaml';
    case 'application/vnd.kubernetes.protobuf':
      if (acceptsProtobuf) return 'protobuf';
      break;
    default:
  }
  throw unsupportedMediaType(acceptsProtobuf ? [...served, 'application/vnd.kubernetes.protobuf'] : served);
}

const patchMediaTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** In the order in which a 415 lists them. */
export function patchMediaTypesOf(patchTypes: readonly PatchType[]): string[] {
  const order: PatchType[] = ['json', 'merge', 'strategic', 'apply'];
  return order.filter((type) => patchTypes.includes(type)).map((type) => patchMediaTypes[type]);
}

export function patchTypeOf(contentType: string | undefined, allowed: readonly PatchType[]): PatchType {
  const given = mediaType(contentType);
  const found = allowed.find((type) => patchMediaTypes[type] === given);
  if (found === undefined) throw unsupportedMediaType(patchMediaTypesOf(allowed));
  return found;
}

function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new StatusError({ message, reason: 'UnsupportedMediaType', code: 415 });
}

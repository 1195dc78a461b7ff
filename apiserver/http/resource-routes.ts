/** The verbs on resources, from decoded request to answer; the registry does what they mean. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubernetesObject, ObjectKey } from '../../api/object.ts';
import type { DecodedBody, DecodeOptions } from '../admission/strict-json.ts';
import type { ResourceOperations, UserInfo, WriteOptions, WriteResult } from '../registry/resource.ts';
import { badRequest, notFound } from '../registry/status-error.ts';
import { findSubresource } from '../registry/subresources.ts';
import type { Answer } from './answer.ts';
import { answerWith } from './answer.ts';
import { decodeDeleteBody, decodeObjectBody, decodePatchBody } from './decode-body.ts';
import type { Presentation } from './encode-objects.ts';
import { encodeList, encodeObject } from './encode-objects.ts';
import { methodNotAllowed } from './error-status.ts';
import { negotiateResource, patchTypeOf } from './negotiate.ts';
import type { DeleteOptionsBody, Requester } from './query-options.ts';
import { deleteOptionsFromQuery, parseDeleteOptions, parseListOptions, parseWriteOptions } from './query-options.ts';
import type { BodyReader } from './read-body.ts';
import type { ResourceRequest } from './request-info.ts';
import { parseIncludeObject } from './table.ts';
import type { YamlDecoder } from './yaml-decoder.ts';

/** One request for a resource that is served. */
export interface ResourceCall {
  request: IncomingMessage;
  response: ServerResponse;
  info: ResourceRequest;
  query: URLSearchParams;
  user: UserInfo;
  recheck?: WriteOptions['recheck'] | undefined;
  operations: ResourceOperations;
  bodies: BodyReader;
  yaml: YamlDecoder;
  /** Milliseconds since the epoch. */
  nowMs: number;
}

/** Every verb but watch. */
export async function answerResource(call: ResourceCall): Promise<Answer> {
  const { info, operations } = call;
  requireServed(call);
  const presentation = presentationOf(call);
  switch (info.verb) {
    case 'get':
      return encodeObject(200, operations.definition, await operations.get(keyOf(call), versionOf(call)), presentation);
    case 'list':
      return encodeList(operations.definition, await operations.list(parseListOptions(call.query, info.namespace)), presentation);
    case 'create':
      return answerCreate(call, presentation);
    case 'update':
      return answerUpdate(call, presentation);
    case 'patch':
      return answerPatch(call, presentation);
    case 'delete':
      return answerDelete(call, presentation);
    case 'deletecollection': {
      const options = await deleteOptionsOf(call);
      const list = await operations.deleteCollection(parseListOptions(call.query, info.namespace), options);
      return { ...encodeList(operations.definition, list, presentation), warnings: options.warnings };
    }
    case 'watch':
      throw new TypeError('a watch is not answered but streamed');
  }
}

export function presentationOf({ request, query, nowMs }: ResourceCall): Presentation {
  const format = negotiateResource(request.headers.accept);
  const includeObject = format.as?.kind === 'Table' ? parseIncludeObject(query.get('includeObject')) : 'Metadata';
  return { format, includeObject, nowMs };
}

/** Throws 404 and 405 for what the resource does not have: a verb, a subresource. */
export function requireServed({ info, operations }: Pick<ResourceCall, 'info' | 'operations'>): void {
  const { definition } = operations;
  const { subresource, verb, name } = info;
  if (subresource !== undefined) {
    const found = findSubresource(definition, subresource);
    if (found === undefined) throw notFound(definition, name ?? '');
    if (!found.verbs.includes(verb)) throw methodNotAllowed();
    return;
  }
  if ((verb === 'update' || verb === 'patch') && name === undefined) throw badRequest('name must be provided');
  if (verb === 'create' && name !== undefined) throw methodNotAllowed();
  if (!definition.verbs.includes(verb)) throw methodNotAllowed();
}

async function answerCreate(call: ResourceCall, presentation: Presentation): Promise<Answer> {
  const { operations, info } = call;
  const options: WriteOptions = parseWriteOptions('CreateOptions', call.query, requesterOf(call));
  const { value, duplicateFields } = await objectBodyOf(call, options);
  const namespace = operations.definition.namespaced ? info.namespace : undefined;
  const stored = await operations.create(namespace, value, { ...options, duplicateFields });
  return { ...encodeObject(201, operations.definition, stored, presentation), warnings: options.warnings };
}

async function answerUpdate(call: ResourceCall, presentation: Presentation): Promise<Answer> {
  const options: WriteOptions = parseWriteOptions('UpdateOptions', call.query, requesterOf(call));
  const { value, duplicateFields } = await objectBodyOf(call, options);
  const result = await call.operations.update(keyOf(call), value, { ...options, duplicateFields }, call.info.subresource);
  return answerWrite(call, result, options, presentation);
}

async function answerPatch(call: ResourceCall, presentation: Presentation): Promise<Answer> {
  const type = patchTypeOf(call.request.headers['content-type'], call.operations.definition.patchTypes);
  const { force, ...options } = parseWriteOptions('PatchOptions', call.query, requesterOf(call), type === 'apply');
  const body = await readBody(call);
  const { duplicateFields, ...patch } = await decodePatchBody(type, body, call.yaml, decodingFor(options));
  const full = type === 'apply' ? { ...patch, force } : patch;
  const result = await call.operations.patch(keyOf(call), full, { ...options, duplicateFields }, call.info.subresource);
  return answerWrite(call, result, options, presentation);
}

function answerWrite(call: ResourceCall, { stored, created }: WriteResult, options: WriteOptions, presentation: Presentation): Answer {
  return { ...encodeObject(created ? 201 : 200, call.operations.definition, stored, presentation), warnings: options.warnings };
}

async function answerDelete(call: ResourceCall, presentation: Presentation): Promise<Answer> {
  const { definition } = call.operations;
  const options = await deleteOptionsOf(call);
  const result = await call.operations.delete(keyOf(call), options);
  const answer = result.gone
    ? answerWith(200, deletedStatus(call, result.object), presentation.format.encoding)
    : encodeObject(200, definition, result.stored, presentation);
  return { ...answer, warnings: options.warnings };
}

function deletedStatus({ operations }: ResourceCall, object: KubernetesObject): object {
  const { group, resource } = operations.definition;
  const { name, uid } = object.metadata;
  const details = { name, ...(group === '' ? {} : { group }), kind: resource, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

async function deleteOptionsOf(call: ResourceCall): Promise<ReturnType<typeof parseDeleteOptions>> {
  const raw = { contentType: call.request.headers['content-type'], body: await readBody(call) };
  const body = await decodeDeleteBody(raw, call.yaml);
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw badRequest('error decoding delete options: not an object');
  }
  const options: DeleteOptionsBody = body ?? deleteOptionsFromQuery(call.query);
  return parseDeleteOptions(options, requesterOf(call));
}

async function objectBodyOf(call: ResourceCall, options: WriteOptions): Promise<DecodedBody> {
  const raw = { contentType: call.request.headers['content-type'], body: await readBody(call) };
  return decodeObjectBody(call.operations.definition, raw, call.yaml, decodingFor(options));
}

export function readBody({ bodies, request, user }: ResourceCall): Promise<Buffer> {
  return bodies.read(request, user.name);
}

function decodingFor({ fieldValidation }: WriteOptions): DecodeOptions {
  return { findDuplicates: fieldValidation !== 'Ignore' };
}

function keyOf({ info, operations }: ResourceCall): ObjectKey {
  const name = info.name ?? '';
  return operations.definition.namespaced && info.namespace !== undefined ? { namespace: info.namespace, name } : { name };
}

function versionOf({ query }: ResourceCall): { resourceVersion?: string } {
  const resourceVersion = query.get('resourceVersion');
  return resourceVersion === null || resourceVersion === '' ? {} : { resourceVersion };
}

function requesterOf({ user, request, recheck }: ResourceCall): Requester {
  return { user, userAgent: request.headers['user-agent'], recheck };
}

/** The client that every program of ours uses: kubeconfig by @kubernetes/client-node, requests by Node's https. */
import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';
import { keyOf } from '../api/object.ts';
import type { KubernetesObject, ObjectKey } from '../api/object.ts';
import { apiVersionOf } from '../api/resource-type.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Status } from '../api/status.ts';
import { ApiError } from './client.ts';
import type { Client, DeleteOptions, ListOptions, ObjectList, PatchOptions, RequestOptions, WatchEvent, WatchOptions } from './client.ts';
import type { Authorization } from './authorization.ts';
import { createConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { openRequest, readBody, reasonOf } from './http-request.ts';
import type { LoadedKubeconfig } from './kubeconfig.ts';
import { createLineSplitter } from './line-splitter.ts';
import { collectionPath, objectPath, queryString } from './resource-path.ts';
import { openUpgrade, type UpgradedConnection } from './upgrade-request.ts';

export interface ClientOptions {
  /** A file, read at the first request and again when it or a file that it names changed; or one that is loaded already. */
  kubeconfig: string | LoadedKubeconfig;
  /** `potluck-agent/0.1.0`: the part before the slash is the field manager's name on the server. */
  userAgent: string;
  /** Besides what the kubeconfig has, which should be nothing then. */
  authorization?: Authorization;
  /** The server does not believe who we are; called for each such answer. */
  onUnauthorized?: () => void;
}

/** A client with connections that can be closed; idle ones do not keep the process alive. */
export interface KubeClient extends Client {
  /** A body as it comes, for as long as it does. The caller must read or destroy it. @throws {ApiError} */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** A connection that is a WebSocket from now on. @throws {ApiError} where the server did not make it one. */
  upgrade(path: string, protocols: readonly string[], signal: AbortSignal): Promise<UpgradedConnection>;
  close(): void;
}

const defaultTimeoutMs = 30_000;
/** Objects per page of a list. */
const pageSize = 500;
/** The longest line of a watch, in bytes: an object of etcd's largest size, written as JSON, several times over. */
const maxLineBytes = 8 * 1024 * 1024;

export function createClient(options: ClientOptions): KubeClient {
  return new HttpsClient(createConnection(options.kubeconfig), options);
}

interface Call extends RequestOptions {
  body?: unknown;
  contentType?: string;
}

class HttpsClient implements KubeClient {
  readonly #connection: Connection;
  readonly #options: ClientOptions;

  constructor(connection: Connection, options: ClientOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async get<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, options: RequestOptions = {}): Promise<T> {
    return (await this.#call('GET', objectPath(type, key), options)) as T;
  }

  async list<T extends KubernetesObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    try {
      return await this.#listPages(type, options, pageSize);
    } catch (error) {
      // The pages took so long that the server forgot their revision: one page then.
      if (error instanceof ExpiredPageError) return this.#listPages(type, options, undefined);
      throw error;
    }
  }

  async create<T extends KubernetesObject>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    const { namespace } = object.metadata;
    if (type.namespaced && namespace === undefined) throw new TypeError(`${type.kind}: the namespace is missing`);
    const path = collectionPath(type, type.namespaced ? namespace : undefined);
    return (await this.#call('POST', path, { ...options, body: object })) as T;
  }

  async replace<T extends KubernetesObject>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    return (await this.#call('PUT', objectPath(type, keyOf(object)), { ...options, body: object })) as T;
  }

  async replaceStatus<T extends KubernetesObject>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    return (await this.#call('PUT', objectPath(type, keyOf(object), 'status'), { ...options, body: object })) as T;
  }

  async patch<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, patch: object, options: PatchOptions = {}): Promise<T> {
    const { subresource, ...request } = options;
    const call = { ...request, body: patch, contentType: 'application/merge-patch+json' };
    return (await this.#call('PATCH', objectPath(type, key, subresource), call)) as T;
  }

  async delete<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const { preconditions, propagationPolicy = 'Background', ...request } = options;
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy, ...(preconditions === undefined ? {} : { preconditions }) };
    await this.#call('DELETE', objectPath(type, key), { ...request, body });
  }

  async request(method: string, path: string, body?: unknown, options: RequestOptions & { contentType?: string } = {}): Promise<unknown> {
    return this.#call(method, path, { ...options, body });
  }

  async watch<T extends KubernetesObject>(type: ResourceType<T>, options: WatchOptions<T>): Promise<void> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds } = options;
    const query = { watch: true, allowWatchBookmarks: true, labelSelector, fieldSelector, resourceVersion, timeoutSeconds };
    const path = `${collectionPath(type, namespace)}${queryString(query)}`;
    const abort = new AbortController();
    const signal = options.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, options.signal]);
    const timer = setTimeout(() => {
      abort.abort(timeoutError(`GET ${path}`, defaultTimeoutMs));
    }, defaultTimeoutMs);
    try {
      const response = await this.#open('GET', path, { signal }).finally(() => clearTimeout(timer));
      if (response.statusCode !== 200) throw await failure(response, signal);
      await readEvents<T>(response, signal, (event) => options.onEvent(event));
    } finally {
      abort.abort();
    }
  }

  async stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#open('GET', path, { signal });
    if (response.statusCode !== 200) throw await failure(response, signal);
    return response;
  }

  async upgrade(path: string, protocols: readonly string[], signal: AbortSignal): Promise<UpgradedConnection> {
    const headers = { 'user-agent': this.#options.userAgent };
    const opened = await openUpgrade(await this.#connection.credentials(), { path, protocols, headers, signal });
    if ('refused' in opened) throw await failure(opened.refused, signal);
    return opened;
  }

  close(): void {
    this.#connection.close();
  }

  async #listPages<T extends KubernetesObject>(
    type: ResourceType<T>,
    options: ListOptions,
    limit: number | undefined,
  ): Promise<ObjectList<T>> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, ...request } = options;
    const items: T[] = [];
    let query: Record<string, string | number | undefined> = { labelSelector, fieldSelector, limit, resourceVersion };
    for (;;) {
      const page = (await this.#call('GET', `${collectionPath(type, namespace)}${queryString(query)}`, request).catch((error: unknown) => {
        throw error instanceof ApiError && error.code === 410 && items.length > 0 ? new ExpiredPageError() : error;
      })) as { items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } };
      // Lists of built-in types leave out what the list's own kind says.
      for (const item of page.items ?? []) items.push({ ...item, apiVersion: apiVersionOf(type), kind: type.kind });
      const next = page.metadata?.continue;
      if (next === undefined || next === '') return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
      query = { labelSelector, fieldSelector, limit, continue: next };
    }
  }

  async #call(method: string, path: string, call: Call): Promise<unknown> {
    const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
    const timeout = new AbortController();
    const timer = setTimeout(() => {
      timeout.abort(timeoutError(`${method} ${path}`, timeoutMs));
    }, timeoutMs);
    const signal = call.signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, call.signal]);
    try {
      const response = await this.#open(method, path, { ...call, signal });
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw await failure(response, signal);
      const text = await readBody(response, signal);
      const isJson = (response.headers['content-type'] ?? '').includes('json');
      return isJson && text !== '' ? (JSON.parse(text) as unknown) : text;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(method: string, path: string, call: Call & { signal: AbortSignal }): Promise<IncomingMessage> {
    let response = await this.#send(method, path, call);
    const challenge = response.statusCode === 401 ? response.headers['www-authenticate'] : undefined;
    if (challenge !== undefined && this.#options.authorization?.challenged(challenge) === true) {
      response.destroy();
      response = await this.#send(method, path, call);
    }
    if (response.statusCode === 401) this.#options.onUnauthorized?.();
    return response;
  }

  async #send(method: string, path: string, call: Call & { signal: AbortSignal }): Promise<IncomingMessage> {
    const credentials = await this.#connection.credentials();
    const { userAgent, authorization } = this.#options;
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': userAgent };
    if (authorization !== undefined) headers['authorization'] = authorization.header(method, path);
    if (call.body === undefined) return openRequest(credentials, { method, path, headers, signal: call.signal });
    headers['content-type'] = call.contentType ?? 'application/json';
    return openRequest(credentials, { method, path, headers, body: JSON.stringify(call.body), signal: call.signal });
  }
}

class ExpiredPageError extends Error {
  override readonly name = 'ExpiredPageError';
}

function timeoutError(what: string, timeoutMs: number): Error {
  return new DOMException(`${what} had no answer after ${timeoutMs / 1000} s`, 'TimeoutError');
}

/** Answers the error of a response that is none of success; reads its body. */
async function failure(response: IncomingMessage, signal: AbortSignal): Promise<ApiError> {
  const code = response.statusCode ?? 0;
  const text = await readBody(response, signal);
  const status = parseStatus(text);
  const message = status?.message ?? (text === '' ? (response.statusMessage ?? '') : text.slice(0, 500).trim());
  return new ApiError(code, status, message === '' ? `HTTP ${code}` : message);
}

function parseStatus(text: string): Status | undefined {
  try {
    const body = JSON.parse(text) as Partial<Status> | null;
    return body?.kind === 'Status' ? (body as Status) : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves at the end of a body that ended with a whole line. Garbage, a cut line and a broken connection reject. */
async function readEvents<T extends KubernetesObject>(
  response: IncomingMessage,
  signal: AbortSignal,
  onEvent: (event: WatchEvent<T>) => void,
): Promise<void> {
  const lines = createLineSplitter(maxLineBytes);
  response.on('data', (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) {
        if (!signal.aborted) onEvent(parseEvent<T>(line));
      }
    } catch (error) {
      response.destroy(error as Error);
    }
  });
  try {
    await finished(response);
  } catch (error) {
    throw reasonOf(signal, error as Error);
  }
  if (lines.pendingBytes > 0) throw new SyntaxError('the watch ended in the middle of a line');
}

function parseEvent<T extends KubernetesObject>(line: string): WatchEvent<T> {
  const { type, object } = JSON.parse(line) as { type?: unknown; object?: unknown };
  if (typeof object !== 'object' || object === null) throw new SyntaxError('a watch event carries no object');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      if (typeof (object as Partial<T>).metadata?.name !== 'string') throw new SyntaxError('the object of a watch event has no name');
      return { type, object: object as T };
    case 'BOOKMARK':
      return { type, resourceVersion: (object as Partial<T>).metadata?.resourceVersion ?? '' };
    case 'ERROR':
      return { type, status: object as Status };
    default:
      throw new SyntaxError(`a watch event of an unknown type: ${String(type).slice(0, 50)}`);
  }
}

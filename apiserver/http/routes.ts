/** Takes every request: who asks, may they, and which part of the server answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomInt } from 'node:crypto';
import type { Logger } from '../../runtime/logger.ts';
import type { AccessControl, Requester } from '../access/access-control.ts';
import type { Attributes } from '../access/authorize.ts';
import type { ResourceCatalogue, ResourceDefinition, UserInfo } from '../registry/resource.ts';
import type { Answer } from './answer.ts';
import { answerWith, answerWithStatus, pageNotFound, sendAnswer } from './answer.ts';
import type { Auditor } from './audit/auditor.ts';
import type { BackendProxy } from './backend-proxy.ts';
import type { DiscoveryRoutes } from './discovery-routes.ts';
import { failure, methodNotAllowed, statusOfError, unauthorized, unknownResource } from './error-status.ts';
import type { HealthChecks } from './health.ts';
import { answerHealth } from './health.ts';
import type { ApiMetrics } from './metrics.ts';
import { negotiatePlain } from './negotiate.ts';
import type { OpenApiRoutes } from './openapi-routes.ts';
import { parseWatchRequest } from './query-options.ts';
import { BodyReader, discardRest } from './read-body.ts';
import type { RequestInfo, ResourceRequest } from './request-info.ts';
import { parseRequest } from './request-info.ts';
import type { ResourceCall } from './resource-routes.ts';
import { answerResource, presentationOf, requireServed } from './resource-routes.ts';
import { shownUrl } from './shown-url.ts';
import { serverVersion } from './server-version.ts';
import { answerTokenRequest, isTokenRequest } from './token-request-route.ts';
import { watchEncoder } from './watch-encoder.ts';
import type { WatchLimits } from './watch-stream.ts';
import { WatchStream } from './watch-stream.ts';
import { YamlDecoder } from './yaml-decoder.ts';

export interface RoutesOptions {
  access: AccessControl;
  catalogue: ResourceCatalogue;
  discovery: DiscoveryRoutes;
  openApi: OpenApiRoutes;
  health: HealthChecks;
  metrics: ApiMetrics;
  /** Absent: nothing is written down. */
  audit?: Auditor;
  /** Answers what mirrors leave to others. */
  backends: BackendProxy;
  logger: Logger;
  watchLimits: WatchLimits;
}

const longestUrl = 8192;
const slowRequestMs = 1000;
/** How long a watch lives when the client does not say: between these, so that clients do not all come back at once. */
const watchLifetimeSeconds = { least: 1800, most: 3600 };
/** However long the client asks for. */
const longestWatchSeconds = 86_400;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #watches = new Set<WatchStream>();
  readonly #bodies = new BodyReader();
  readonly #yaml = new YamlDecoder();
  #stopping = false;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** Ends every watch cleanly, and every stream; those that come later end at once. */
  endWatches(): void {
    this.#stopping = true;
    this.#options.backends.close();
    for (const watch of this.#watches) watch.finish();
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse, upgradeHead?: Buffer): Promise<void> {
    const exchange = new Exchange(request, response, upgradeHead);
    try {
      const answer = await this.#answer(exchange);
      if (answer !== undefined) await exchange.send(answer);
    } catch (error) {
      await this.#fail(exchange, error);
    }
    this.#options.audit?.answered(exchange);
    this.#record(exchange);
  }

  async #fail(exchange: Exchange, error: unknown): Promise<void> {
    this.#options.audit?.begin(exchange);
    const { status, expected } = statusOfError(error);
    if (!expected) this.#options.logger.error('a request failed by a fault of the server', { ...exchange.fields(), error });
    if (exchange.response.headersSent) {
      exchange.response.destroy();
      return;
    }
    try {
      await exchange.send(answerWithStatus(status, negotiatePlain(exchange.request.headers.accept)));
    } catch (second) {
      this.#options.logger.error('an answer could not be written', { ...exchange.fields(), error: second });
      exchange.response.destroy();
    }
  }

  /** Undefined when the answer is a stream, which writes itself. */
  async #answer(exchange: Exchange): Promise<Answer | undefined> {
    const { request, path, query } = exchange;
    if ((request.url ?? '').length > longestUrl) return answerWithStatus(failure(414, 'RequestURITooLong', 'the URL is too long'), 'json');
    const { access } = this.#options;
    const sender = await this.#identify(exchange);
    exchange.requester = { user: sender };
    exchange.requester = access.impersonate(sender, request);
    const { user } = exchange.requester;
    const info = parseRequest(request.method ?? '', path, query);
    exchange.info = info;
    this.#options.audit?.received(exchange);
    const recheck = access.require(user, attributesOf(info, path));
    if (info.kind === 'path') return this.#answerPath(exchange, info.verb, user);
    const operations = this.#options.catalogue.find(info.group, info.version, info.resource);
    if (operations === undefined || !fitsScope(operations.definition, info)) {
      if (info.group === '') throw unknownResource();
      return pageNotFound();
    }
    exchange.definition = operations.definition;
    const backend = backendOf(operations.definition, info);
    if (backend !== undefined) return this.#forward(exchange, { info, operations, user, backend });
    const { response, startMs: nowMs } = exchange;
    const reading = { bodies: this.#bodies, yaml: this.#yaml };
    const call = { request, response, info, query, user, recheck, operations, nowMs, ...reading };
    return isTokenRequest(call) ? answerTokenRequest(call, access.tokenIssuer) : this.#answerResource(call);
  }

  /** Who opens a stream by GET, as a WebSocket is, needs the right to create one as well: reading is not running (as Kubernetes from 1.35 on). */
  async #forward(
    exchange: Exchange,
    { info, operations, user, backend }: Pick<ResourceCall, 'info' | 'operations' | 'user'> & { backend: string },
  ): Promise<undefined> {
    const { request, response, upgradeHead } = exchange;
    const { access, backends } = this.#options;
    requireServed({ info, operations });
    const verbs = operations.definition.subresources.find(({ name }) => name === info.subresource)?.verbs ?? [];
    const needs = [info, ...(info.verb === 'get' && verbs.includes('create') ? [{ ...info, verb: 'create' as const }] : [])];
    for (const need of needs) access.require(user, need);
    const check = async (): Promise<void> => {
      const sender = await this.#identify(exchange);
      const { user: now } = access.impersonate(sender, request);
      for (const need of needs) access.require(now, need);
    };
    this.#options.audit?.begin(exchange);
    await backends.forward({ request, response, info, user, backend, check }, upgradeHead);
    return undefined;
  }

  /** Throws 401 for who cannot be believed. */
  async #identify({ request, response, path, query }: Exchange): Promise<UserInfo> {
    const nowMs = Date.now();
    const attributes = (): Attributes => attributesOf(parseRequest(request.method ?? '', path, query), path);
    const { user, challenge } = await this.#options.access.identify({ request, response, attributes, nowMs });
    if (user !== undefined) return user;
    if (challenge !== undefined && !response.headersSent) response.setHeader('www-authenticate', challenge);
    throw unauthorized();
  }

  async #answerPath({ request, path, query }: Exchange, verb: string, user: UserInfo): Promise<Answer> {
    if (verb !== 'get' && verb !== 'head') throw methodNotAllowed();
    const { logger, metrics } = this.#options;
    if (path === '/version' || path === '/version/') return answerWith(200, serverVersion);
    if (path === '/metrics') return metrics.answer();
    if (path === '/') return answerWith(200, { paths: rootPaths });
    const { accept, 'if-none-match': ifNoneMatch } = request.headers;
    const answer =
      this.#options.discovery.answer(path, request.headers) ??
      this.#options.openApi.answer(path, query, { accept, ifNoneMatch }) ??
      (await answerHealth(path, query, this.#options.health, (check, error) => {
        logger.warn('a health check failed', { check, error, user: user.name });
      }));
    return answer ?? (path.startsWith('/api/') ? answerWithStatus(unknownResource().status, 'json') : pageNotFound());
  }

  async #answerResource(call: ResourceCall): Promise<Answer | undefined> {
    const { deprecationWarning } = call.operations.definition;
    if (call.info.verb === 'watch') {
      await this.#startWatch(call);
      return undefined;
    }
    const answer = await answerResource(call);
    if (deprecationWarning === undefined) return answer;
    return { ...answer, warnings: [deprecationWarning, ...(answer.warnings ?? [])] };
  }

  async #startWatch(call: ResourceCall): Promise<void> {
    requireServed(call);
    const { operations, response, info } = call;
    const { options, timeoutSeconds } = parseWatchRequest(call.query, operations.definition.namespaced ? info.namespace : undefined);
    const encode = watchEncoder(operations.definition, presentationOf(call), () => Date.now());
    const { group, version, resource } = info;
    const labels = { verb: 'WATCH', group, version, resource };
    const { metrics, watchLimits } = this.#options;
    const forget = (): void => {
      if (this.#watches.delete(stream)) metrics.watchClosed(labels);
    };
    const stream = new WatchStream(response, encode, watchLimits, forget);
    // Known before it is established: the client may be gone by then.
    this.#watches.add(stream);
    metrics.watchOpened(labels);
    const { least, most } = watchLifetimeSeconds;
    try {
      const handle = await operations.watch(options, stream);
      stream.open(handle, 1000 * Math.min(timeoutSeconds ?? randomInt(least, most), longestWatchSeconds));
    } catch (error) {
      forget();
      throw error;
    }
    if (this.#stopping) stream.finish();
  }

  #record(exchange: Exchange): void {
    const { info, definition, response } = exchange;
    const durationMs = performance.now() - exchange.startedAt;
    const { group, version, resource } = definition ?? { group: '', version: '', resource: '' };
    const verb = (info?.verb ?? exchange.request.method ?? '').toUpperCase();
    this.#options.metrics.countRequest({ verb, group, version, resource, code: response.statusCode }, durationMs / 1000);
    const fields = { ...exchange.fields(), code: response.statusCode, durationMs: Math.round(durationMs * 10) / 10 };
    if (durationMs > slowRequestMs && verb !== 'WATCH') this.#options.logger.warn('a request was slow', fields);
    else this.#options.logger.debug('request', fields);
  }
}

const rootPaths = ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version'];

/** One request and what became known of it. */
class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Of a connection that is to be upgraded: what came right behind the request. */
  readonly upgradeHead: Buffer | undefined;
  /** Milliseconds since the epoch. */
  readonly startMs = Date.now();
  readonly startedAt = performance.now();
  requester: Requester | undefined;
  answer: Answer | undefined;
  info: RequestInfo | undefined;
  definition: ResourceDefinition | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, upgradeHead: Buffer | undefined) {
    this.request = request;
    this.response = response;
    this.upgradeHead = upgradeHead;
    const url = request.url ?? '/';
    const question = url.indexOf('?');
    // Some clients name the whole URL, as they would to a proxy.
    this.path = (question === -1 ? url : url.slice(0, question)).replace(/^https?:\/\/[^/]*/iu, '');
    this.query = new URLSearchParams(question === -1 ? '' : url.slice(question + 1));
  }

  async send(answer: Answer): Promise<void> {
    this.answer = answer;
    const { request, response } = this;
    // A body that was not read to its end: the connection cannot carry another request.
    const unread = !request.complete || this.upgradeHead !== undefined;
    if (unread) response.setHeader('connection', 'close');
    const encodings = request.headers['accept-encoding'];
    await sendAnswer(response, answer, { encodings, bodyless: request.method === 'HEAD' });
    if (!request.complete) await discardRest(request);
    response.end();
  }

  fields(): Record<string, unknown> {
    const { method, url = '', headers, socket } = this.request;
    const client = { user: this.requester?.user.name, userAgent: headers['user-agent'], address: socket.remoteAddress };
    return { method, url: shownUrl(url.slice(0, 500)), ...client };
  }
}

function attributesOf(info: RequestInfo, path: string): Attributes {
  return info.kind === 'path' ? { kind: 'path', verb: info.verb === 'head' ? 'get' : info.verb, path } : info;
}

function backendOf({ subresources }: ResourceDefinition, { subresource }: ResourceRequest): string | undefined {
  return subresources.find(({ name }) => name === subresource)?.backend;
}

/** Objects of namespaced resources lie in a namespace, others do not; only lists and watches reach over all namespaces. */
function fitsScope(definition: ResourceDefinition, info: ResourceRequest): boolean {
  if (!definition.namespaced) return info.namespace === undefined || definition.resource === 'namespaces';
  if (info.namespace !== undefined) return true;
  return info.verb === 'list' || info.verb === 'watch';
}

/**
 * Hands requests on to backends: other servers of the pool that answer subresources of mirrors. Who asks was found out and allowed here; the backend
 * believes it from this server's certificate. What comes back, upgraded connections included, goes to the client as it comes, at the client's pace.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../runtime/logger.ts';
import type { UserInfo } from '../registry/resource.ts';
import { StatusError } from '../registry/status-error.ts';
import { answeredHeaders, forwardedHeaders } from './backend-headers.ts';
import type { ResourceRequest } from './request-info.ts';

export interface BackendProxyOptions {
  /** By name, as mirrors name them. */
  backends: ReadonlyMap<string, URL>;
  /** Where `apiserver-backend.crt`, its key and `ca.crt` are. */
  pkiDirectory: string;
  logger: Logger;
}

export interface ForwardedCall {
  request: IncomingMessage;
  response: ServerResponse;
  info: ResourceRequest;
  user: UserInfo;
  backend: string;
  /** Whether the request may still be answered: proof and rights as they are now. Rejects when not. */
  check: () => Promise<void>;
}

/** How long a backend may take to begin an answer: it may have to reach a machine far away. */
const headMs = 30_000;
/** How often it is looked whether a stream's user may still have it. */
const checkMs = 500;
/** Certificates are read anew after this long. */
const agentLifeMs = 3_600_000;

export class BackendProxy {
  readonly #options: BackendProxyOptions;
  readonly #open = new Set<Duplex | ServerResponse>();
  #agent: { agent: Agent; madeAt: number } | undefined;

  constructor(options: BackendProxyOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the answer has begun, or is whole where the backend refused. Throws 503 when there is no such backend or it cannot be reached.
   * `head` is what the client sent right behind a request for an upgrade.
   */
  async forward(call: ForwardedCall, head?: Buffer): Promise<void> {
    const url = this.#options.backends.get(call.backend);
    if (url === undefined) throw unavailable(`the backend ${JSON.stringify(call.backend)} is not configured`, 'NotConfigured');
    const answer = await this.#ask(url, call, head !== undefined);
    if (answer.socket === undefined) {
      this.#stream(call, answer.message);
      return;
    }
    this.#join(call, answer.message, { socket: answer.socket, head: answer.head }, head ?? Buffer.alloc(0));
  }

  /** Ends every stream. */
  close(): void {
    for (const stream of this.#open) stream.destroy();
    this.#agent?.agent.destroy();
  }

  async #ask(url: URL, call: ForwardedCall, isUpgrade: boolean): Promise<BackendAnswer> {
    const { request, response, user, info } = call;
    const auditId = response.getHeader('audit-id');
    const headers = forwardedHeaders({
      headers: request.headers,
      user,
      auditId: typeof auditId === 'string' ? auditId : randomUUID(),
      protocol: isUpgrade ? request.headers.upgrade : undefined,
    });
    const agent = await this.#agentFor();
    const { promise, resolve, reject } = Promise.withResolvers<BackendAnswer>();
    const { hostname, port } = url;
    const asked = httpsRequest({
      agent,
      hostname: hostname.replace(/^\[(.*)\]$/u, '$1'),
      port,
      method: request.method,
      path: pathOf(info, request.url ?? ''),
      headers,
    });
    const late = setTimeout(() => asked.destroy(new Error(`it did not answer within ${headMs / 1000} s`)), headMs);
    const onGone = (): void => void asked.destroy(new Error('the client is gone'));
    response.once('close', onGone);
    asked
      .once('response', (message) => resolve({ message }))
      .once('upgrade', (message, socket, head) => resolve({ message, socket, head }))
      .on('error', reject);
    if (isUpgrade) asked.end();
    else request.pipe(asked);
    try {
      return await promise;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn('a backend cannot be reached', { backend: call.backend, error });
      throw unavailable(`the backend ${JSON.stringify(call.backend)} cannot be reached: ${why}`, 'BackendUnreachable');
    } finally {
      clearTimeout(late);
      response.off('close', onGone);
    }
  }

  /** An answer that is no upgrade. */
  #stream(call: ForwardedCall, message: IncomingMessage): void {
    const { response } = call;
    for (const [name, value] of Object.entries(answeredHeaders(message.headers))) if (value !== undefined) response.setHeader(name, value);
    if (call.request.headers.upgrade !== undefined) response.setHeader('connection', 'close');
    response.statusCode = message.statusCode ?? 502;
    message.on('error', () => response.destroy());
    message.on('close', () => {
      // Cut short: the client must not take it for the whole.
      if (!message.complete) response.destroy();
    });
    response.on('close', () => message.destroy());
    response.flushHeaders();
    message.pipe(response);
    this.#guard(call, response);
  }

  /** Both connections become one, each way at the pace of who reads; either side may end by itself. */
  #join(call: ForwardedCall, message: IncomingMessage, backend: { socket: Duplex; head: Buffer }, clientHead: Buffer): void {
    const { response } = call;
    const client: Duplex = call.request.socket;
    const { socket } = backend;
    if (client.destroyed) {
      socket.destroy();
      return;
    }
    response.sendDate = false;
    response.writeHead(message.statusCode ?? 101, message.statusMessage, {
      ...answeredHeaders(message.headers),
      connection: 'Upgrade',
      upgrade: message.headers.upgrade,
    });
    response.flushHeaders();
    for (const side of [client, socket]) {
      side.allowHalfOpen = true;
      side.on('error', () => undefined);
    }
    // Those of HTTP: a stream may be silent as long as it likes.
    call.request.socket.setTimeout(0);
    client.on('close', () => socket.destroy());
    socket.on('close', () => {
      if (client.writableEnded) client.destroy();
      else client.end(() => client.destroy());
    });
    if (backend.head.length > 0) client.write(backend.head);
    if (clientHead.length > 0) socket.write(clientHead);
    client.pipe(socket);
    socket.pipe(client);
    this.#guard(call, client);
  }

  /** Ends the stream when its user may not have it any more. */
  #guard({ check, info, user }: ForwardedCall, stream: Duplex | ServerResponse): void {
    const ended = new AbortController();
    this.#open.add(stream);
    stream.once('close', () => {
      this.#open.delete(stream);
      ended.abort();
    });
    const keepChecking = async (): Promise<void> => {
      while (await delay(checkMs, true, { signal: ended.signal, ref: false }).catch(() => false)) {
        try {
          await check();
        } catch (error) {
          // A store that cannot be asked for a moment says nothing about rights.
          if (!(error instanceof StatusError) || (error.code !== 401 && error.code !== 403)) continue;
          const { resource, subresource, namespace, name } = info;
          this.#options.logger.info('a stream was ended: its user may not have it any more', {
            user: user.name,
            resource,
            subresource,
            namespace,
            name,
            reason: error.message,
          });
          stream.destroy();
          return;
        }
      }
    };
    void keepChecking();
  }

  async #agentFor(): Promise<Agent> {
    if (this.#agent !== undefined && performance.now() - this.#agent.madeAt < agentLifeMs) return this.#agent.agent;
    const { pkiDirectory } = this.#options;
    const [cert, key, ca] = await Promise.all(
      ['apiserver-backend.crt', 'apiserver-backend.key', 'ca.crt'].map((name) => readFile(join(pkiDirectory, name))),
    );
    const agent = new Agent({ cert, key, ca, keepAlive: true, minVersion: 'TLSv1.3', noDelay: true } as object);
    this.#agent = { agent, madeAt: performance.now() };
    return agent;
  }
}

type BackendAnswer =
  { message: IncomingMessage; socket?: undefined; head?: undefined } | { message: IncomingMessage; socket: Duplex; head: Buffer };

function pathOf({ resource, namespace, name = '', subresource = '' }: ResourceRequest, url: string): string {
  const place = [resource, namespace, name, subresource].filter((part) => part !== undefined).map(encodeURIComponent);
  const question = url.indexOf('?');
  return `/backend/v1/${place.join('/')}${question === -1 ? '' : url.slice(question)}`;
}

function unavailable(message: string, cause: string): StatusError {
  // No word of when to try again: clients would, for ten times that long, before they say anything.
  const details = { causes: [{ reason: cause, message }] };
  return new StatusError({ message, reason: 'ServiceUnavailable', details, code: 503 });
}

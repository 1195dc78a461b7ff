/**
 * What the API server hands on: exec, attach, logs and port-forward of instances, as the clients of Kubernetes speak them. Who asks was found out and
 * allowed there; the gateway hands over only what came with the API server's certificate.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Status } from '../../api/status.ts';
import type { StreamKind, StreamParameters } from '../../api/stream-protocol.ts';
import type { Logger } from '../../runtime/logger.ts';
import { splice } from '../../runtime/splice.ts';
import { connectionProtocol, WebSocketConnection } from '../../runtime/web-socket-connection.ts';
import type { Backend } from '../backend.ts';
import { TunnelError, type Hub, type TunnelReason } from '../hub.ts';
import {
  attachParametersOf,
  execParametersOf,
  logParametersOf,
  parseBackendRequest,
  RequestError,
  type BackendRequest,
} from './backend-request.ts';
import { serveCommand } from './command-client.ts';
import type { OpenPort } from './forwarded-port.ts';
import { spdyCommand, spdyProtocols } from './spdy-command.ts';
import { portForwardProtocol, serveSpdyPortForward } from './spdy-port-forward.ts';
import { acceptUpgrade, chooseProtocol, refuseUpgrade, transportOf } from './upgrade.ts';
import { webSocketBytes } from './web-socket-bytes.ts';
import { webSocketCommand, webSocketProtocols } from './web-socket-command.ts';
import { parsePorts, serveWebSocketPortForward } from './web-socket-port-forward.ts';

export interface StreamBackendOptions {
  hub: Hub;
  logger: Logger;
}

const tunnelledSpdy = `SPDY/3.1+${portForwardProtocol}`;
const webSocketForwards = [connectionProtocol, tunnelledSpdy, ...webSocketProtocols] as const;

export class StreamBackend implements Backend {
  readonly #hub: Hub;
  readonly #logger: Logger;
  readonly #open = new Set<Duplex>();
  /** What is under way. */
  readonly #serving = new Set<Promise<void>>();
  #isClosing = false;

  constructor({ hub, logger }: StreamBackendOptions) {
    this.#hub = hub;
    this.#logger = logger;
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    this.#track(this.#answer(request, response));
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    socket.on('error', () => undefined);
    this.#track(this.#answerUpgrade(request, socket, head));
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const cut = setTimeout(() => {
      for (const stream of this.#open) stream.destroy();
    }, graceMs);
    while (this.#serving.size > 0) await Promise.all(this.#serving);
    clearTimeout(cut);
  }

  #track(serving: Promise<void>): void {
    this.#serving.add(serving);
    void serving.finally(() => this.#serving.delete(serving));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const asked = this.#parse(request);
      // Exec and its like are upgrades and nothing else.
      if (asked.subresource !== 'log') throw new RequestError(400, 'BadRequest', 'Upgrade request required');
      const session = this.#session(asked, 'logs');
      const tunnel = await session.open(logParametersOf(asked), gone.signal);
      this.#open.add(tunnel);
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
      response.flushHeaders();
      // Cut short, so that nobody takes the beginning for the whole.
      await pipeline(tunnel, response).catch(() => response.destroy());
      this.#open.delete(tunnel);
      tunnel.destroy();
      session.end({});
    } catch (error) {
      const status = this.#statusOf(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(status.code ?? 500, { 'content-type': 'application/json' }).end(`${JSON.stringify(status)}\n`);
    }
  }

  async #answerUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const asked = this.#parse(request);
      switch (asked.subresource) {
        case 'log':
          throw new RequestError(400, 'BadRequest', 'logs are no upgrade');
        case 'exec':
          await this.#command(asked, 'exec', execParametersOf(asked.query), { request, socket, head });
          return;
        case 'attach':
          await this.#command(asked, 'attach', attachParametersOf(asked.query), { request, socket, head });
          return;
        case 'portforward':
          await this.#forwardPorts(asked, { request, socket, head });
          return;
      }
    } catch (error) {
      refuseUpgrade(socket, this.#statusOf(error));
    }
  }

  #parse({ url = '', headers }: IncomingMessage): BackendRequest {
    if (this.#isClosing) throw new RequestError(503, 'ServiceUnavailable', 'the gateway stops');
    return parseBackendRequest(url, headers);
  }

  /** The stream is opened first: who cannot have it is told so by HTTP, which every client shows. */
  async #command<K extends 'exec' | 'attach'>(
    asked: BackendRequest,
    kind: K,
    parameters: StreamParameters[K],
    { request, socket, head }: Connection,
  ): Promise<void> {
    const transport = transportOf(request);
    const protocol = chooseProtocol<string>(request.headers, transport, transport === 'spdy' ? spdyProtocols : webSocketProtocols);
    const session = this.#session(asked, kind);
    const gone = new AbortController();
    const onGone = (): void => gone.abort();
    socket.once('close', onGone);
    const tunnel = await session.open(parameters, gone.signal);
    socket.off('close', onGone);
    if (socket.destroyed) {
      tunnel.destroy();
      session.end({});
      return;
    }
    tunnel.on('error', () => undefined);
    acceptUpgrade(socket, request, transport, protocol);
    try {
      const client =
        transport === 'spdy'
          ? await spdyCommand(socket, head, { protocol: protocol as (typeof spdyProtocols)[number], parameters })
          : webSocketCommand(socket, head, protocol as (typeof webSocketProtocols)[number]);
      const { status, reason } = await serveCommand(client, tunnel);
      session.end({ outcome: reason ?? status });
    } catch (error) {
      session.end({ outcome: error instanceof Error ? error.message : String(error) });
    } finally {
      tunnel.destroy();
    }
  }

  async #forwardPorts(asked: BackendRequest, { request, socket, head }: Connection): Promise<void> {
    const transport = transportOf(request);
    const protocol = chooseProtocol<string>(request.headers, transport, transport === 'spdy' ? [portForwardProtocol] : webSocketForwards);
    const open: OpenPort = async (port) => {
      const session = this.#session(asked, 'port');
      const tunnel = await session.open({ port });
      this.#open.add(tunnel);
      tunnel.once('close', () => {
        this.#open.delete(tunnel);
        session.end({ port });
      });
      return tunnel;
    };
    if (transport === 'spdy' || protocol === tunnelledSpdy) {
      acceptUpgrade(socket, request, transport, protocol);
      if (transport === 'spdy') await serveSpdyPortForward(socket, head, open);
      else await serveSpdyPortForward(webSocketBytes(socket, head), Buffer.alloc(0), open);
      return;
    }
    const ports = parsePorts(asked.query);
    if (protocol === connectionProtocol && ports?.length === 1) {
      const tunnel = await open(ports[0] ?? 0);
      acceptUpgrade(socket, request, transport, protocol);
      await splice(new WebSocketConnection(socket, head, 'server'), tunnel);
      return;
    }
    if (ports === undefined) throw new RequestError(400, 'BadRequest', 'the query must have the ports, as ?ports=80&ports=443');
    acceptUpgrade(socket, request, transport, protocol);
    await serveWebSocketPortForward(socket, head, ports, open);
  }

  /** Opens a stream, and says in the log from when to when it was whose; never what is in it. */
  #session<K extends StreamKind>(
    { namespace, name, user, auditId }: BackendRequest,
    kind: K,
  ): {
    open: (parameters: StreamParameters[K], signal?: AbortSignal) => Promise<Duplex>;
    end: (fields: Readonly<Record<string, unknown>>) => void;
  } {
    const sessionId = randomBytes(16).toString('hex');
    const fields = { session: sessionId, kind, user, namespace, instance: name, audit: auditId };
    const startedAt = performance.now();
    return {
      open: async (parameters, signal) => {
        try {
          const instance = { namespace, name };
          const tunnel = await this.#hub.open({ instance, kind, parameters, user, sessionId, ...(signal === undefined ? {} : { signal }) });
          this.#logger.info('a session was opened', fields);
          return tunnel;
        } catch (error) {
          const reason = error instanceof TunnelError ? error.reason : 'Error';
          this.#logger.info('a session could not be opened', { ...fields, reason });
          throw error;
        }
      },
      end: (more) => {
        this.#logger.info('a session was closed', { ...fields, ...more, seconds: Math.round(performance.now() - startedAt) / 1000 });
      },
    };
  }

  #statusOf(error: unknown): Status {
    if (error instanceof RequestError) return error.status;
    if (error instanceof TunnelError)
      return new RequestError(codes[error.reason], reasonsByCode[codes[error.reason]], error.message).status;
    this.#logger.error('a request failed by a fault of the gateway', { error });
    return new RequestError(500, 'InternalError', `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`)
      .status;
  }
}

interface Connection {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

const codes = { NotFound: 404, NotAssigned: 409, NotRunning: 409, Unreachable: 503, Refused: 400, Busy: 429 } as const satisfies Record<
  TunnelReason,
  number
>;
const reasonsByCode = {
  400: 'BadRequest',
  404: 'NotFound',
  409: 'Conflict',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
} as const;

/** The one port of a gateway: TLS 1.3, certificates of the pool's authority only; who it is decides what is spoken. */
import { createServer as createHttpServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { constants } from 'node:crypto';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import { UserError } from '../api/errors.ts';
import { sessionHeader, tunnelPath, tunnelProtocol } from '../api/stream-protocol.ts';
import { refusalStatus } from '../api/stream-status.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Backend } from './backend.ts';
import { identityOf } from './client-identity.ts';
import type { ClientIdentity } from './client-identity.ts';
import type { Admission, ProviderSessions } from './provider-sessions.ts';
import type { StreamService } from './stream-service.ts';

export interface ServerCertificate {
  keyPem: string;
  /** The server's, then the authority's. */
  certPem: string;
  caPem: string;
}

export interface GatewayServerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  certificate: ServerCertificate;
  sessions: ProviderSessions;
  streams: StreamService;
  backend: Backend | undefined;
  logger: Logger;
}

const handshakeTimeoutMs = 10_000;
const headersTimeoutMs = 10_000;
const mostConnections = 10_000;
/** Connections whose TLS is not done; who comes then has to come again. */
const mostHandshakes = 512;
const mostHeaderBytes = 32 * 1024;

interface Connection {
  identity: ClientIdentity;
  notAfterMs: number;
}

export class GatewayServer {
  readonly #options: GatewayServerOptions;
  readonly #tls: Server;
  readonly #http: HttpServer;
  readonly #raw = new Set<Socket>();
  readonly #connections = new WeakMap<Duplex, Connection>();
  #handshakes = 0;
  /** By where they come from: what is to be called when their TLS is done. */
  readonly #handshakesOf = new Map<string, () => void>();

  private constructor(options: GatewayServerOptions) {
    this.#options = options;
    this.#http = createHttpServer({
      headersTimeout: headersTimeoutMs,
      requestTimeout: headersTimeoutMs,
      keepAliveTimeout: headersTimeoutMs,
      maxHeaderSize: mostHeaderBytes,
      noDelay: true,
    });
    this.#http.on('request', (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response));
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#onUpgrade(request, socket, head));
    this.#tls = createServer({ ...tlsOptions(options.certificate), handshakeTimeout: handshakeTimeoutMs, keepAlive: true });
    this.#tls.maxConnections = mostConnections;
    this.#tls.on('connection', (socket: Socket) => this.#onConnection(socket));
    this.#tls.on('secureConnection', (socket) => this.#onSecureConnection(socket));
    this.#tls.on('tlsClientError', (error, socket) => {
      options.logger.debug('a connection was refused', { from: socket.remoteAddress, error: error.message });
      socket.destroy();
    });
  }

  /** Resolves when it listens. Throws UserError PORT_IN_USE. */
  static async listen(options: GatewayServerOptions): Promise<GatewayServer> {
    const server = new GatewayServer(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      server.#tls.once('error', (error: NodeJS.ErrnoException) => {
        const remedy = `Stop what listens there (ss -ltnp 'sport = :${port}' shows it), or choose another port with --gateway-listen`;
        const isTaken = error.code === 'EADDRINUSE' || error.code === 'EACCES';
        reject(isTaken ? new UserError('PORT_IN_USE', `port ${port} on ${host} is in use`, remedy, { cause: error }) : error);
      });
      server.#tls.listen(port, host, resolve);
    });
    server.#tls.on('error', (error) => options.logger.error('the listening socket failed', { error }));
    return server;
  }

  get port(): number {
    return (this.#tls.address() as AddressInfo).port;
  }

  /** From the next connection on. */
  useCertificate(certificate: ServerCertificate): void {
    this.#tls.setSecureContext(tlsOptions(certificate));
  }

  /** Takes no more connections. */
  stopListening(): void {
    this.#tls.close();
  }

  /** Cuts what is left. */
  cut(): void {
    for (const socket of this.#raw) socket.destroy();
    this.#http.close();
  }

  #onConnection(socket: Socket): void {
    this.#raw.add(socket);
    this.#handshakes += 1;
    const remote = remoteOf(socket);
    let isDone = false;
    const done = (): void => {
      if (isDone) return;
      isDone = true;
      this.#handshakes -= 1;
    };
    socket.once('close', () => {
      done();
      this.#raw.delete(socket);
      this.#handshakesOf.delete(remote);
    });
    socket.on('error', () => undefined);
    this.#handshakesOf.set(remote, done);
    if (this.#handshakes > mostHandshakes) socket.destroy();
  }

  #onSecureConnection(socket: TLSSocket): void {
    this.#handshakesOf.get(remoteOf(socket))?.();
    socket.on('error', () => undefined);
    const { subject, valid_to: notAfter } = socket.getPeerCertificate();
    const identity = identityOf(subject);
    this.#connections.set(socket, { identity, notAfterMs: Date.parse(notAfter) });
    if (socket.alpnProtocol === 'h2') {
      if (identity.kind === 'gateway' || identity.kind === 'jump-host') this.#options.streams.serve(socket, identity.kind);
      else socket.destroy();
      return;
    }
    this.#http.emit('connection', socket);
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    const { backend } = this.#options;
    if (connection?.identity.kind === 'api-server' && backend !== undefined && request.url?.startsWith('/backend/v1/') === true) {
      backend.request(request, response);
      return;
    }
    const body = JSON.stringify(
      refusalStatus(request.url === tunnelPath ? 400 : 404, `nothing is served at ${request.url?.slice(0, 200) ?? ''}`),
    );
    response.writeHead(request.url === tunnelPath ? 400 : 404, { 'content-type': 'application/json', connection: 'close' }).end(body);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = this.#connections.get(socket);
    const { backend, sessions } = this.#options;
    socket.on('error', () => undefined);
    if (connection?.identity.kind === 'api-server' && backend !== undefined && request.url?.startsWith('/backend/v1/') === true) {
      backend.upgrade(request, socket, head);
      return;
    }
    if (request.url !== tunnelPath || request.headers.upgrade?.toLowerCase() !== tunnelProtocol) {
      refuseUpgrade(socket, { code: 404, message: 'nothing is served here' });
      return;
    }
    if (connection?.identity.kind !== 'provider') {
      refuseUpgrade(socket, { code: 403, message: 'only providers open tunnels' });
      return;
    }
    if (head.length > 0) socket.unshift(head);
    const answer = (admission: Admission): Promise<void> =>
      new Promise((resolve) => {
        socket.once('close', resolve);
        if (admission.code === 101) socket.write(switching(admission.session), () => resolve());
        else {
          refuseUpgrade(socket, admission);
          resolve();
        }
      });
    const { notAfterMs } = connection;
    sessions.accept({ providerUid: connection.identity.uid, notAfterMs, socket: socket as TLSSocket, answer }).catch((error: unknown) => {
      this.#options.logger.error('a tunnel failed', { error });
      socket.destroy();
    });
  }
}

/** The same for a connection and for the TLS on it. */
function remoteOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function tlsOptions({ keyPem, certPem, caPem }: ServerCertificate): object {
  return {
    key: keyPem,
    cert: certPem,
    ca: caPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    // A ticket would carry who somebody was past the end of the certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: ['h2', 'http/1.1'],
  };
}

function switching(session: number): string {
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n${sessionHeader}: ${session}\r\n\r\n`;
}

function refuseUpgrade(socket: Duplex, refusal: { code: number; message: string; retryAfterSeconds?: number }): void {
  const { code, message, retryAfterSeconds } = refusal;
  const body = JSON.stringify(refusalStatus(code, message));
  const retry = retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`;
  const head = `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}\r\nConnection: close\r\nContent-Type: application/json\r\n`;
  socket.end(`${head}${retry}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  setTimeout(() => socket.destroy(), 1_000).unref();
}

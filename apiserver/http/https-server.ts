import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { UserError } from '../../api/errors.ts';
import type { KeyAndCertificate } from '../access/certificates.ts';

export interface HttpsServerOptions {
  server: KeyAndCertificate;
  /** Client certificates are those that this authority signed. */
  caPem: string;
  host: string;
  /** 0: any free one. */
  port: number;
}

export interface HttpsListener {
  server: Server;
  port: number;
  /** From the next connection on. */
  useCertificate: (pair: Pick<HttpsServerOptions, 'server' | 'caPem'>) => void;
  /** Stops accepting, lets requests end for up to `graceMs`, then cuts what is left. */
  close: (graceMs: number) => Promise<void>;
}

const timeouts = {
  headersMs: 10_000,
  /** From the first byte of a request to the last of its body. */
  requestMs: 30_000,
  idleMs: 120_000,
  checkMs: 2_000,
  handshakeMs: 10_000,
  /** Of silence, before the other end is asked whether it is still there. */
  probeMs: 30_000,
};
/** Beyond these many open connections a new one is refused. */
const mostConnections = 10_000;

/** What this server speaks besides HTTP, if somebody behind it does; a request for anything else is answered as if it asked for nothing. */
const upgrades = /^(websocket|spdy\/3\.1)$/iu;

/** `upgradeHead`, where the connection is to be upgraded: what came right behind the request. Until it is, the response is an ordinary one. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse, upgradeHead?: Buffer) => void;

/** Listens, or throws `PORT_IN_USE`. A client without a certificate is let in: what it may do is decided for each request. */
export async function listen(options: HttpsServerOptions, listener: RequestHandler): Promise<HttpsListener> {
  const server = createServer(
    {
      ...secureContextOf(options),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      handshakeTimeout: timeouts.handshakeMs,
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      keepAliveTimeout: timeouts.idleMs,
      connectionsCheckingInterval: timeouts.checkMs,
      noDelay: true,
      // A machine that went to sleep says no goodbye.
      keepAlive: true,
      keepAliveInitialDelay: timeouts.probeMs,
      shouldUpgradeCallback: ({ headers }) => upgrades.test(headers.upgrade ?? ''),
    },
    (request, response) => listener(request, response),
  );
  server.on('upgrade', (request, socket, head) => listener(request, responseOn(request, socket), head));
  server.maxConnections = mostConnections;
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  const close = (graceMs: number): Promise<void> => closeServer(server, connections, graceMs);
  const useCertificate: HttpsListener['useCertificate'] = (pair) => server.setSecureContext(secureContextOf(pair));
  return { server, port: (server.address() as AddressInfo).port, useCertificate, close };
}

/** Node leaves a connection that is to be upgraded to us: a refusal is an ordinary answer, and the last on it. */
function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.assignSocket(socket as Socket);
  socket.on('error', () => undefined);
  response.once('finish', () => socket.end());
  return response;
}

/** The authority's own certificate is in the chain: a machine that joins looks for it there. */
function secureContextOf({ server, caPem }: Pick<HttpsServerOptions, 'server' | 'caPem'>): { key: string; cert: string; ca: string } {
  return { key: server.keyPem, cert: server.certPem + caPem, ca: caPem };
}

function listenError(error: NodeJS.ErrnoException, { host, port }: HttpsServerOptions): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new UserError(
        'PORT_IN_USE',
        `port ${port} on ${host} is in use`,
        `Stop what listens there (ss -ltnp 'sport = :${port}' shows it), or choose another port with --listen`,
      );
    case 'EADDRNOTAVAIL':
      return new UserError(
        'BAD_ARGUMENT',
        `${host} is not an address of this machine`,
        'Choose one of its addresses, or 0.0.0.0 for all, with --listen',
      );
    case 'EACCES':
      return new UserError(
        'PORT_IN_USE',
        `port ${port} may not be used by this user`,
        'Choose a port above 1023 with --listen, or run as root',
      );
    default:
      return error;
  }
}

/** What is cut includes connections that never began TLS: the server itself does not know them. */
async function closeServer(server: Server, connections: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => {
    server.closeAllConnections();
    for (const socket of connections) socket.destroy();
  }, graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}

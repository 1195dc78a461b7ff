/** Connects to a gateway: TLS by our certificate, then the turn to a tunnel. */
import { request } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { sessionHeader, tunnelPath, tunnelProtocol } from '../../api/stream-protocol.ts';
import { readRefusal } from '../../api/stream-status.ts';

/** PEM. */
export interface TunnelIdentity {
  caPem: string;
  certPem: string;
  keyPem: string;
}

export interface DialedTunnel {
  socket: Socket;
  session: number;
}

/** `refused`: the gateway does not want us; `busy`: not now; `unreachable`: no gateway answered there. */
export class DialError extends Error {
  override readonly name = 'DialError';
  readonly kind: 'unreachable' | 'refused' | 'busy';
  /** What the gateway asked for; 0 when it asked for nothing. */
  readonly retryAfterMs: number;

  constructor(kind: DialError['kind'], message: string, options: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(message, options);
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface DialOptions {
  /** `host:port`. */
  address: string;
  identity: TunnelIdentity;
  /** TCP and TLS. */
  connectTimeoutMs: number;
  /** From then to the gateway's answer, which has to count us first. */
  answerTimeoutMs: number;
  signal: AbortSignal;
}

const mostBodyBytes = 16 * 1024;
const longestRetryMs = 60_000;

/** @throws {DialError} */
export function dialGateway({ address, identity, connectTimeoutMs, answerTimeoutMs, signal }: DialOptions): Promise<DialedTunnel> {
  const { hostname, port } = new URL(`https://${address}`);
  const { promise, resolve, reject } = Promise.withResolvers<DialedTunnel>();
  const options: RequestOptions & ConnectionOptions = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 443 : Number(port),
    path: tunnelPath,
    headers: { connection: 'Upgrade', upgrade: tunnelProtocol },
    ca: identity.caPem,
    cert: identity.certPem,
    key: identity.keyPem,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    agent: false,
    signal,
  };
  const asked = request(options);
  const unreachable = (cause: Error): void => reject(new DialError('unreachable', `${address}: ${cause.message}`, { cause }));
  const giveUp = (): void => void asked.destroy(new Error('no answer in time'));
  let timer = setTimeout(giveUp, connectTimeoutMs);
  asked.on('socket', (socket) => {
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, answerTimeoutMs);
    });
  });
  asked.on('error', unreachable);
  asked.once('close', () => clearTimeout(timer));
  asked.on('upgrade', (response: IncomingMessage, socket: Socket, head: Buffer) => {
    clearTimeout(timer);
    const session = Number(response.headers[sessionHeader]);
    if (!Number.isSafeInteger(session) || session < 1) {
      socket.destroy();
      reject(new DialError('refused', `${address} said no number of a session`));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    resolve({ socket, session });
  });
  asked.on('response', (response) => {
    readRefused(response).then((error) => reject(new DialError(error.kind, `${address}: ${error.message}`, error)), unreachable);
  });
  asked.end();
  return promise;
}

async function readRefused(response: IncomingMessage): Promise<{ kind: 'refused' | 'busy'; message: string; retryAfterMs: number }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > mostBodyBytes) break;
  }
  response.destroy();
  const code = response.statusCode ?? 0;
  const seconds = Number(response.headers['retry-after'] ?? 0);
  const message = readRefusal(Buffer.concat(chunks).toString('utf8'))?.message ?? 'it says nothing';
  return {
    kind: code === 429 || code === 503 ? 'busy' : 'refused',
    message: `${code} ${message}`,
    retryAfterMs: Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1000, 0), longestRetryMs) : 0,
  };
}

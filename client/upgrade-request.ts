/** A request that turns its connection into a WebSocket; what is spoken on it then is the caller's business. */
import { randomBytes } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Credentials } from './connection.ts';
import { reasonOf } from './http-request.ts';

export interface UpgradeRequest {
  /** With its query. */
  path: string;
  headers: Readonly<Record<string, string>>;
  /** The best one first. */
  protocols: readonly string[];
  signal: AbortSignal;
}

export interface UpgradedConnection {
  socket: Duplex;
  /** What came right behind the answer. */
  head: Buffer;
  protocol: string;
}

/** Resolves with the connection, or with the answer of a server that did not upgrade it. Rejects with the transport's error. */
export function openUpgrade(credentials: Credentials, request: UpgradeRequest): Promise<UpgradedConnection | { refused: IncomingMessage }> {
  const { path, protocols, signal } = request;
  const url = new URL(`${credentials.server}${path}`);
  const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
  const headers = {
    ...credentials.headers,
    ...request.headers,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-version': '13',
    'sec-websocket-protocol': protocols.join(', '),
  };
  const { promise, resolve, reject } = Promise.withResolvers<UpgradedConnection | { refused: IncomingMessage }>();
  send(url, { method: 'GET', agent: credentials.agent, headers, signal })
    .once('upgrade', (response, socket: Socket, head: Buffer) => {
      socket.setNoDelay(true);
      resolve({ socket, head, protocol: response.headers['sec-websocket-protocol'] ?? '' });
    })
    .once('response', (refused) => resolve({ refused }))
    .on('error', (error) => reject(reasonOf(signal, error)))
    .end();
  return promise;
}

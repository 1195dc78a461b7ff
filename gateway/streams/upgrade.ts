/** Upgrades of connections: which protocol is spoken, and the answer that says so. Refusals are answered as Kubernetes' `Status`. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Status } from '../../api/status.ts';
import { acceptKey } from '../../runtime/web-socket.ts';
import { RequestError } from './backend-request.ts';

export type Transport = 'websocket' | 'spdy';

/** @throws {RequestError} for an upgrade to something else. */
export function transportOf({ headers, method }: Pick<IncomingMessage, 'headers' | 'method'>): Transport {
  const upgrade = headers.upgrade?.toLowerCase();
  if (upgrade === 'spdy/3.1') return 'spdy';
  if (upgrade === 'websocket' && method === 'GET') return 'websocket';
  throw new RequestError(400, 'BadRequest', 'Upgrade request required');
}

/** What the client offers, in its order. */
function offeredProtocols(headers: IncomingHttpHeaders, transport: Transport): string[] {
  const header = headers[transport === 'spdy' ? 'x-stream-protocol-version' : 'sec-websocket-protocol'];
  return (Array.isArray(header) ? header : [header ?? ''])
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/**
 * The one that we like best of what is offered; who offers nothing gets the last, which is the oldest.
 * @throws {RequestError} when there is none.
 */
export function chooseProtocol<T extends string>(headers: IncomingHttpHeaders, transport: Transport, known: readonly T[]): T {
  const offered = offeredProtocols(headers, transport);
  const chosen = offered.length === 0 ? known.at(-1) : known.find((each) => offered.includes(each));
  if (chosen !== undefined) return chosen;
  throw new RequestError(403, 'Forbidden', `none of the protocols ${offered.join(', ')} is spoken here; known are ${known.join(', ')}`);
}

/** The other side speaks the new protocol from here on. */
export function acceptUpgrade(socket: Duplex, { headers }: IncomingMessage, transport: Transport, protocol: string): void {
  const lines =
    transport === 'spdy'
      ? ['Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${protocol}`]
      : ['Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptKey(headers['sec-websocket-key'] ?? '')}`];
  // Who offered none is told of none.
  if (transport === 'websocket' && headers['sec-websocket-protocol'] !== undefined) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  socket.write(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines, '', ''].join('\r\n'));
}

/** In place of an upgrade. */
export function refuseUpgrade(socket: Duplex, status: Status): void {
  const body = Buffer.from(`${JSON.stringify(status)}\n`);
  const head = [
    `HTTP/1.1 ${status.code ?? 500} ${status.reason ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    '',
  ];
  if (socket.writable) socket.end(Buffer.concat([Buffer.from(head.join('\r\n')), body]));
}

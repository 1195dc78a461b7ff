/** A stream of bytes within a WebSocket, whose messages are cut anywhere: SPDY in kubectl's port-forward. */
import { Duplex } from 'node:stream';
import { WebSocketStream } from '../../runtime/web-socket.ts';

const longestMessage = 1024 * 1024;

export function webSocketBytes(socket: Duplex, head: Buffer): Duplex {
  const messages = new WebSocketStream(socket, head, { side: 'server', maxMessageBytes: longestMessage });
  return Duplex.from({ readable: messages.map((message: Buffer) => message), writable: messages });
}

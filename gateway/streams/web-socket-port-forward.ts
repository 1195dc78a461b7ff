/**
 * Port-forward over WebSocket as libraries speak it (`v4.channel.k8s.io`, `?ports=80&ports=443`): the port at place n has the channels 2n for data and
 * 2n+1 for errors, each of which begins with the port (two bytes, little endian). A message without content is no end: there is none but the connection's.
 */
import { Duplex } from 'node:stream';
import { WebSocketStream } from '../../runtime/web-socket.ts';
import { joinStreams, parsePort, type OpenPort } from './forwarded-port.ts';

const longestMessage = 1024 * 1024;
/** Channels are one byte. */
const mostPorts = 127;

/** Undefined when the query does not say which ports. */
export function parsePorts(query: URLSearchParams): number[] | undefined {
  const texts = query.getAll('ports').flatMap((text) => text.split(','));
  const ports = texts.flatMap((text) => parsePort(text) ?? []);
  return ports.length === 0 || ports.length < texts.length || ports.length > mostPorts ? undefined : ports;
}

/** Resolves when the client is gone, or everything is. */
export async function serveWebSocketPortForward(socket: Duplex, head: Buffer, ports: readonly number[], open: OpenPort): Promise<void> {
  const messages = new WebSocketStream(socket, head, { side: 'server', maxMessageBytes: longestMessage });
  messages.on('error', () => undefined);
  const connections = ports.map((port, index) => new Channel(messages, 2 * index, port));
  const forwards = connections.map((connection, index) => forward(messages, connection, 2 * index + 1, open));
  try {
    for await (const message of messages as AsyncIterable<Buffer>) {
      const connection = connections[(message[0] ?? 0) / 2];
      if (connection !== undefined && message.length > 1) await connection.receive(message.subarray(1));
    }
  } catch {
    // It hung up.
  } finally {
    for (const connection of connections) connection.destroy();
  }
  await Promise.all(forwards);
}

async function forward(messages: WebSocketStream, connection: Channel, errorChannel: number, open: OpenPort): Promise<void> {
  const port = portBytes(connection.port);
  messages.write(Buffer.concat([Buffer.of(connection.number), port]));
  messages.write(Buffer.concat([Buffer.of(errorChannel), port]));
  try {
    const tunnel = await open(connection.port);
    if (connection.destroyed) tunnel.destroy();
    else await joinStreams(connection, tunnel);
  } catch (failure) {
    const message = failure instanceof Error ? failure.message : String(failure);
    if (messages.writable) messages.write(Buffer.concat([Buffer.of(errorChannel), Buffer.from(message)]));
  }
  // One port, and its connection is over: that can only be said by hanging up.
  if (messages.writable) messages.end();
}

function portBytes(port: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(port);
  return bytes;
}

class Channel extends Duplex {
  readonly number: number;
  readonly port: number;
  readonly #messages: WebSocketStream;
  #wake: () => void = () => undefined;

  constructor(messages: WebSocketStream, number: number, port: number) {
    super({ writableHighWaterMark: 64 * 1024, readableHighWaterMark: 64 * 1024 });
    this.#messages = messages;
    this.number = number;
    this.port = port;
    this.on('error', () => undefined);
  }

  /** Resolves when more may come. */
  async receive(content: Buffer): Promise<void> {
    if (this.destroyed || this.push(content)) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  override _read(): void {
    this.#wake();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#messages.write(Buffer.concat([Buffer.of(this.number), chunk]), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#wake();
    done(error);
  }
}

/** Remote commands over WebSocket: each message is one byte channel and content (`v4`, `v5.channel.k8s.io`), or both as text (`base64.…`). */
import { Transform, type Duplex, type TransformCallback } from 'node:stream';
import { channels, encodeFrame, type Frame } from '../../runtime/stream-frames.ts';
import { WebSocketStream } from '../../runtime/web-socket.ts';
import type { CommandClient } from './command-client.ts';

/** In the order of preference. The ones without a number are the first version, which has no `Status`: its error channel is a text. */
export const webSocketProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
] as const;
type Protocol = (typeof webSocketProtocols)[number];

const longestMessage = 1024 * 1024;
const zero = '0'.charCodeAt(0);

export function webSocketCommand(socket: Duplex, head: Buffer, protocol: Protocol): CommandClient {
  const isText = protocol.includes('base64');
  const messages = new WebSocketStream(socket, head, { side: 'server', maxMessageBytes: longestMessage, text: isText });
  const input = messages.pipe(new MessagesToFrames(isText));
  messages.on('error', () => input.destroy(new Error('the client hung up')));
  const write = (channel: number, content: Uint8Array): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const message = isText
      ? Buffer.from(String.fromCharCode(zero + channel) + Buffer.from(content).toString('base64'))
      : Buffer.concat([Buffer.of(channel), content]);
    messages.write(message, (error) => (error ? reject(error) : resolve(undefined)));
    return promise;
  };
  return {
    input,
    send: ({ channel, content }: Frame) => write(channel, content),
    finish: async (status) => {
      if (/^v[45]/u.test(protocol)) await write(channels.error, Buffer.from(JSON.stringify(status)));
      else if (status.status !== 'Success') await write(channels.error, Buffer.from(status.message ?? 'error'));
      messages.end();
    },
    destroy: () => messages.destroy(),
  };
}

class MessagesToFrames extends Transform {
  readonly #isText: boolean;

  constructor(isText: boolean) {
    super({ writableObjectMode: true, writableHighWaterMark: 4, readableHighWaterMark: 64 * 1024 });
    this.#isText = isText;
  }

  override _transform(message: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const [first] = message;
    if (first === undefined) {
      done();
      return;
    }
    const channel = this.#isText ? first - zero : first;
    const content = this.#isText ? Buffer.from(message.toString('latin1', 1), 'base64') : message.subarray(1);
    if (channel === channels.stdin || channel === channels.resize || channel === channels.close) {
      // Clients say hello on each channel with nothing.
      if (content.length > 0) this.push(encodeFrame(channel, content));
    }
    done();
  }
}

/**
 * A connection within a WebSocket of its own, whose two ways end one by one, as those of TCP do: messages are bytes, and an empty one is an end. Spoken
 * between our own programs (`potluck port-forward`); the protocols of Kubernetes cannot say that one way has ended.
 */
import { Duplex } from 'node:stream';
import { WebSocketStream, type WebSocketOptions } from './web-socket.ts';

export const connectionProtocol = 'v1.connection.potluck.dev';

const longestMessage = 1024 * 1024;

export class WebSocketConnection extends Duplex {
  readonly #messages: WebSocketStream;
  /** What came before may still wait to be read. */
  #hasReceivedEnd = false;
  #hasSentEnd = false;

  /** The socket is this stream's from now on. */
  constructor(socket: Duplex, head: Buffer, side: WebSocketOptions['side']) {
    super({ readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 });
    this.#messages = new WebSocketStream(socket, head, { side, maxMessageBytes: longestMessage });
    this.#messages
      .on('data', (message: Buffer) => {
        if (message.length === 0) {
          this.#hasReceivedEnd = true;
          this.push(null);
        } else if (!this.push(message)) this.#messages.pause();
      })
      .on('error', (error) => this.destroy(error))
      .on('end', () => this.#onClose())
      .on('close', () => this.#onClose());
  }

  override _read(): void {
    this.#messages.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#messages.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#hasSentEnd = true;
    this.#messages.write(Buffer.alloc(0), done);
  }

  /** Both ways have ended, or not: then the other end sees a connection that broke. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error === null && this.readableEnded && this.writableFinished) this.#messages.end();
    else this.#messages.destroy();
    done(error);
  }

  #onClose(): void {
    if (!this.#hasReceivedEnd || !this.#hasSentEnd) this.destroy(new Error('the other end hung up'));
  }
}

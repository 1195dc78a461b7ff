/**
 * WebSocket messages (RFC 6455) over a connection that was upgraded already, as a stream with backpressure both ways: reads are messages, writes are
 * messages. Pings are answered; a close, ours or theirs, is an end. No extensions.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Duplex } from 'node:stream';

export interface WebSocketOptions {
  /** Clients mask what they send, and servers do not. */
  side: 'server' | 'client';
  /** Of a message that comes; a longer one ends the connection with 1009. */
  maxMessageBytes: number;
  /** What goes out are texts instead of bytes. */
  text?: boolean;
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const longestControl = 125;
/** How long the other end may take to close after us. */
const closeMs = 2_000;
const noBytes = Buffer.alloc(0);

/** What a server answers to `Sec-WebSocket-Key`. */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** What came is no WebSocket; the code says why, as a close does. */
export class WebSocketError extends Error {
  override readonly name = 'WebSocketError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

interface FrameHead {
  final: boolean;
  opcode: number;
  mask: Buffer | undefined;
  length: number;
  /** Of the head itself. */
  bytes: number;
}

export class WebSocketStream extends Duplex {
  readonly #socket: Duplex;
  readonly #options: WebSocketOptions;
  #buffer: Buffer[] = [];
  #buffered = 0;
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #isFragmented = false;
  #sentClose = false;
  #gotClose = false;
  #closeTimer: NodeJS.Timeout | undefined;

  /** `head` is what came right behind the handshake. The socket is this stream's from now on. */
  constructor(socket: Duplex, head: Buffer, options: WebSocketOptions) {
    super({ readableObjectMode: true, readableHighWaterMark: 16, writableHighWaterMark: 64 * 1024 });
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => this.#onEnd());
    socket.on('error', (error) => this.destroy(error));
    if (head.length > 0) process.nextTick(() => this.#receive(head));
  }

  override _read(): void {
    if (!this.#gotClose) this.#socket.resume();
  }

  override _write(payload: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(this.#options.text === true ? opcodes.text : opcodes.binary, payload, done);
  }

  override _final(done: () => void): void {
    this.#close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#closeTimer);
    if (error instanceof WebSocketError && !this.#sentClose) {
      this.#close(error.code);
      this.#socket.end();
    }
    if (error instanceof WebSocketError) setTimeout(() => this.#socket.destroy(), 100);
    else this.#socket.destroy();
    done(error);
  }

  #send(opcode: number, payload: Uint8Array, done: (error?: Error | null) => void = () => undefined): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      done(this.#gotClose ? null : new Error('the connection is closed'));
      return;
    }
    this.#socket.cork();
    for (const part of encodeMessageFrame(opcode, payload, this.#options.side === 'client')) this.#socket.write(part);
    process.nextTick(() => this.#socket.uncork());
    if (!this.#socket.writableNeedDrain) {
      done();
      return;
    }
    const onDrain = (): void => {
      this.#socket.off('close', onDrain).off('drain', onDrain);
      done();
    };
    this.#socket.once('drain', onDrain).once('close', onDrain);
  }

  #close(code: number): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    const payload = Buffer.allocUnsafe(2);
    payload.writeUInt16BE(code);
    this.#send(opcodes.close, payload);
    // A server hangs up first; a client that does not follow is hung up on.
    if (this.#gotClose) this.#socket.end();
    else this.#closeTimer = setTimeout(() => this.#socket.destroy(), closeMs);
    this.#socket.resume();
  }

  #onEnd(): void {
    clearTimeout(this.#closeTimer);
    if (this.#gotClose) return;
    this.#gotClose = true;
    // Gone without a goodbye: nobody will read what is still to be said.
    if (!this.#sentClose) this.destroy(new WebSocketError(1006, 'the other end hung up'));
    else this.push(null);
  }

  #receive(bytes: Buffer): void {
    if (this.#gotClose || this.destroyed) return;
    this.#buffer.push(bytes);
    this.#buffered += bytes.length;
    try {
      for (;;) {
        const head = this.#peekHead();
        if (head === undefined || this.#buffered < head.bytes + head.length) break;
        this.#take(head.bytes);
        const payload = this.#take(head.length);
        this.#onFrame(head, head.mask === undefined ? payload : unmask(payload, head.mask));
        if (this.#hasClosed()) return;
      }
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #hasClosed(): boolean {
    return this.#gotClose || this.destroyed;
  }

  #peekHead(): FrameHead | undefined {
    if (this.#buffered < 2) return undefined;
    if (this.#buffer.length > 1 && (this.#buffer[0]?.length ?? 0) < 14) this.#buffer = [Buffer.concat(this.#buffer)];
    const head = readHead(this.#buffer[0] ?? noBytes);
    if (head === undefined) return undefined;
    if ((head.mask === undefined) === (this.#options.side === 'server')) throw new WebSocketError(1002, 'masking is wrong');
    if (head.length + this.#fragmentBytes > this.#options.maxMessageBytes) throw new WebSocketError(1009, 'a message is too long');
    return head;
  }

  #take(length: number): Buffer {
    if (length === 0) return noBytes;
    const [first = noBytes] = this.#buffer;
    if (first.length < length) this.#buffer = [Buffer.concat(this.#buffer, this.#buffered)];
    const [whole = noBytes, ...rest] = this.#buffer;
    this.#buffer = whole.length === length ? rest : [whole.subarray(length), ...rest];
    this.#buffered -= length;
    return whole.subarray(0, length);
  }

  #onFrame({ opcode, final }: FrameHead, payload: Buffer): void {
    switch (opcode) {
      case opcodes.close:
        this.#gotClose = true;
        clearTimeout(this.#closeTimer);
        if (this.#sentClose) this.#socket.end();
        else this.#close(1000);
        this.push(null);
        return;
      case opcodes.ping:
        // Whoever pings faster than they read is not answered every time.
        if (!this.#socket.writableNeedDrain && !this.#sentClose) this.#send(opcodes.pong, payload);
        return;
      case opcodes.pong:
        return;
      case opcodes.continuation:
        if (!this.#isFragmented) throw new WebSocketError(1002, 'a continuation of nothing');
        break;
      case opcodes.text:
      case opcodes.binary:
        if (this.#isFragmented) throw new WebSocketError(1002, 'a message began within another');
        break;
      default:
        throw new WebSocketError(1002, `there is no opcode ${opcode}`);
    }
    this.#fragments.push(payload);
    this.#fragmentBytes += payload.length;
    this.#isFragmented = !final;
    if (!final) return;
    const message = this.#fragments.length === 1 ? payload : Buffer.concat(this.#fragments, this.#fragmentBytes);
    this.#fragments = [];
    this.#fragmentBytes = 0;
    if (!this.push(message)) this.#socket.pause();
  }
}

function readHead(bytes: Buffer): FrameHead | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0) throw new WebSocketError(1002, 'reserved bits are set');
  const short = second & 0x7f;
  if (opcode >= opcodes.close && (short > longestControl || !final)) throw new WebSocketError(1002, 'a control frame is too long');
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const isMasked = (second & 0x80) !== 0;
  const size = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < size) return undefined;
  const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return { final, opcode, mask: isMasked ? bytes.subarray(size - 4, size) : undefined, length, bytes: size };
}

/** Head and payload of one unfragmented message. */
function encodeMessageFrame(opcode: number, payload: Uint8Array, masked: boolean): Uint8Array[] {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + lengthBytes + (masked ? 4 : 0));
  head[0] = 0x80 | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return [head, payload];
  const mask = randomBytes(4);
  mask.copy(head, head.length - 4);
  return [head, unmask(Buffer.from(payload), mask)];
}

/** Masks too. In place. */
function unmask(payload: Buffer, mask: Buffer): Buffer {
  for (let index = 0; index < payload.length; index += 1) payload[index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0);
  return payload;
}

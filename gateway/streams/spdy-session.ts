/**
 * The server's side of SPDY/3.1 over a connection that was upgraded already: streams that the other end opens, as Duplexes. What the clients of
 * Kubernetes speak knows no windows (moby/spdystream), so a stream of which too much waits holds up the connection; clients that have windows
 * are given them, and theirs are kept from the moment that they speak of them.
 */
import { Duplex } from 'node:stream';
import {
  controlTypes,
  encodeControl,
  encodeDataHead,
  encodePair,
  finFlag,
  HeaderDecoder,
  HeaderEncoder,
  numbers,
  resetCodes,
  SpdyDecoder,
  SpdyError,
  type SpdyFrame,
} from './spdy-frames.ts';

export interface SpdySessionOptions {
  /** Called for each new stream, which was answered. */
  onStream: (stream: SpdyStream) => void;
  /** Called once, when the connection is over; every stream is destroyed by then. */
  onClose: () => void;
  /** Streams that may be open at once; more are refused. */
  maxStreams: number;
}

/** Both ends begin with it, as the draft says. */
const initialWindow = 64 * 1024;
/** Bytes that may wait in one stream before the connection is not read any more. */
const mostWaiting = 512 * 1024;
const longestData = 16 * 1024;
/** How long the other end may take to hang up when all is said. */
const closeMs = 2_000;
const settingInitialWindow = 7;

export class SpdySession {
  readonly #socket: Duplex;
  readonly #options: SpdySessionOptions;
  readonly #decoder = new SpdyDecoder();
  readonly #headers = new HeaderDecoder();
  readonly #encoder = new HeaderEncoder();
  readonly #streams = new Map<number, SpdyStream>();
  /** Who waits for the connection, or a window, to take more. */
  #waiting: (() => void)[] = [];
  #lastId = 0;
  #hasWindows = false;
  #peerInitialWindow = initialWindow;
  #sendWindow = initialWindow;
  #consumed = 0;
  #isClosed = false;

  /** `head` is what came right behind the request for the upgrade. The socket is this session's from now on. */
  constructor(socket: Duplex, head: Buffer, options: SpdySessionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('error', () => undefined);
    socket.on('drain', () => this.#wake());
    socket.on('close', () => this.#onClose());
    if (head.length > 0) socket.unshift(head);
    void this.#read();
  }

  /** Says goodbye, and hangs up when the other end does, or soon. */
  close(): void {
    if (this.#isClosed) return;
    this.#send(encodePair(controlTypes.goAway, this.#lastId, 0));
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), closeMs);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of this.#socket as AsyncIterable<Buffer>) {
        for (const frame of this.#decoder.push(bytes)) await this.#onFrame(frame);
      }
      this.#socket.end();
    } catch {
      this.#socket.destroy();
    }
  }

  async #onFrame(frame: SpdyFrame): Promise<void> {
    if (frame.kind === 'data') {
      await this.#onData(frame);
      return;
    }
    const { type, payload } = frame;
    switch (type) {
      case controlTypes.synStream:
        await this.#onSynStream(frame);
        return;
      case controlTypes.headers:
        // Nobody uses them, but they are part of what headers to come refer to.
        await this.#headers.decode(payload.subarray(4));
        if ((frame.flags & finFlag) !== 0) this.#streams.get(idAt(payload, 0))?.receiveEnd();
        return;
      case controlTypes.synReply:
        await this.#headers.decode(payload.subarray(4));
        return;
      case controlTypes.rstStream:
        this.#streams.get(idAt(payload, 0))?.receiveReset();
        return;
      case controlTypes.ping:
        // Those with odd numbers are the other end's; an even one would be an answer. Whoever does not read is not answered.
        if ((idAt(payload, 0) & 1) === 1 && !this.#socket.writableNeedDrain) this.#send(encodeControl(type, 0, payload.subarray(0, 4)));
        return;
      case controlTypes.settings:
        this.#onSettings(payload);
        return;
      case controlTypes.windowUpdate:
        this.#onWindowUpdate(idAt(payload, 0), idAt(payload, 4));
        return;
      default:
        return;
    }
  }

  async #onSynStream({ flags, payload }: SpdyFrame & { kind: 'control' }): Promise<void> {
    if (payload.length < 10) throw new SpdyError('a stream without a number');
    const id = idAt(payload, 0);
    const headers = await this.#headers.decode(payload.subarray(10));
    if (id % 2 === 0 || id <= this.#lastId) throw new SpdyError(`stream ${id} after ${this.#lastId}`);
    this.#lastId = id;
    if (this.#streams.size >= this.#options.maxStreams) {
      this.reset(id, resetCodes.refusedStream);
      return;
    }
    const stream = new SpdyStream(this, id, headers, this.#peerInitialWindow);
    this.#streams.set(id, stream);
    this.#send(encodeControl(controlTypes.synReply, 0, Buffer.concat([numbers(id), this.#encoder.encode(new Map())])));
    if ((flags & finFlag) !== 0) stream.receiveEnd();
    this.#options.onStream(stream);
  }

  async #onData({ streamId, fin, payload }: SpdyFrame & { kind: 'data' }): Promise<void> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.consumed(undefined, payload.length);
      return;
    }
    if (payload.length > 0) stream.receive(payload);
    if (fin) stream.receiveEnd();
    while (stream.readableLength > mostWaiting && !stream.destroyed && !this.#isClosed) await stream.whenRead();
  }

  #onSettings(payload: Buffer): void {
    this.#hasWindows = true;
    for (let offset = 4; offset + 8 <= payload.length; offset += 8) {
      if ((payload.readUInt32BE(offset) & 0xff_ffff) !== settingInitialWindow) continue;
      const value = Math.min(payload.readUInt32BE(offset + 4), 0x7fff_ffff);
      for (const stream of this.#streams.values()) stream.sendWindow += value - this.#peerInitialWindow;
      this.#peerInitialWindow = value;
    }
    this.#wake();
  }

  #onWindowUpdate(id: number, delta: number): void {
    this.#hasWindows = true;
    if (id === 0) this.#sendWindow = Math.min(this.#sendWindow + delta, 0x7fff_ffff);
    const stream = this.#streams.get(id);
    if (stream !== undefined) stream.sendWindow = Math.min(stream.sendWindow + delta, 0x7fff_ffff);
    this.#wake();
  }

  /** Sends as much as the connection takes, and the rest when it does. */
  async sendData(stream: SpdyStream, content: Buffer): Promise<void> {
    for (let rest = content; rest.length > 0;) {
      if (this.#isClosed || stream.destroyed) throw new Error('the connection is closed');
      const room = this.#hasWindows ? Math.min(stream.sendWindow, this.#sendWindow) : longestData;
      if (this.#socket.writableNeedDrain || room <= 0) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      const part = rest.subarray(0, Math.min(room, longestData));
      rest = rest.subarray(part.length);
      stream.sendWindow -= part.length;
      this.#sendWindow -= part.length;
      this.#send(encodeDataHead(stream.id, part.length, false), part);
    }
  }

  sendEnd(stream: SpdyStream): void {
    this.#send(encodeDataHead(stream.id, 0, true));
  }

  reset(id: number, code: number): void {
    this.#send(encodePair(controlTypes.rstStream, id, code));
  }

  /** What was read of a stream may come again. */
  consumed(stream: SpdyStream | undefined, length: number): void {
    this.#consumed += length;
    if (this.#consumed >= initialWindow / 2) {
      this.#send(encodePair(controlTypes.windowUpdate, 0, this.#consumed));
      this.#consumed = 0;
    }
    if (stream === undefined) return;
    stream.consumed += length;
    if (stream.consumed < initialWindow / 2) return;
    this.#send(encodePair(controlTypes.windowUpdate, stream.id, stream.consumed));
    stream.consumed = 0;
  }

  forget(stream: SpdyStream): void {
    this.#streams.delete(stream.id);
    this.#wake();
  }

  #send(...parts: readonly Uint8Array[]): void {
    if (this.#isClosed || this.#socket.writableEnded) return;
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#headers.close();
    for (const stream of this.#streams.values()) stream.destroy(new Error('the client hung up'));
    this.#wake();
    this.#options.onClose();
  }
}

/** Of the session that it belongs to; made by nobody else. */
export class SpdyStream extends Duplex {
  readonly id: number;
  /** As the other end sent them, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  sendWindow: number;
  /** Read, but not told yet. */
  consumed = 0;
  readonly #session: SpdySession;
  #onRead: (() => void)[] = [];
  #isReset = false;
  #hasEnded = false;

  constructor(session: SpdySession, id: number, headers: ReadonlyMap<string, string>, sendWindow: number) {
    super({ readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 });
    this.id = id;
    this.headers = headers;
    this.sendWindow = sendWindow;
    this.#session = session;
    this.on('error', () => undefined);
  }

  receive(payload: Buffer): void {
    if (this.#hasEnded || this.destroyed) return;
    this.push(payload);
    // Told when it arrives: what waits here is bounded by holding up the connection.
    this.#session.consumed(this, payload.length);
  }

  receiveEnd(): void {
    if (this.#hasEnded || this.destroyed) return;
    this.#hasEnded = true;
    this.push(null);
  }

  receiveReset(): void {
    this.#isReset = true;
    this.destroy(new Error('the client took the stream back'));
  }

  /** Resolves when some of what waits was read. */
  whenRead(): Promise<void> {
    return new Promise((resolve) => this.#onRead.push(resolve));
  }

  override _read(): void {
    this.#wakeReader();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#session.sendData(this, chunk).then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.#session.sendEnd(this);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isWhole = this.writableFinished && (this.#hasEnded || this.readableEnded);
    if (!isWhole && !this.#isReset) this.#session.reset(this.id, resetCodes.cancel);
    this.#session.forget(this);
    this.#wakeReader();
    done(error);
  }

  #wakeReader(): void {
    const waiting = this.#onRead;
    this.#onRead = [];
    for (const resolve of waiting) resolve();
  }
}

function idAt(payload: Buffer, offset: number): number {
  if (payload.length < offset + 4) throw new SpdyError('a control frame is cut short');
  return payload.readUInt32BE(offset) & 0x7fff_ffff;
}

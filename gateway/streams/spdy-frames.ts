/** Frames of SPDY/3.1 as they are on the wire (draft-mbelshe-httpbis-spdy-00; 3.1 adds the window of the session). Pure, but for the inflation of headers. */
import { createInflate, type Inflate } from 'node:zlib';
import { spdyDictionary } from './spdy-dictionary.ts';

export const controlTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const resetCodes = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, flowControlError: 7, streamInUse: 8 } as const;
export const finFlag = 1;

export type SpdyFrame =
  | { kind: 'control'; type: number; flags: number; payload: Buffer }
  /** A piece of one: long frames are told of as they come, and `fin` with the last piece. */
  | { kind: 'data'; streamId: number; fin: boolean; payload: Buffer };

const version = 3;
const headBytes = 8;
/** Nothing that is sent to us needs as much. */
const longestControl = 64 * 1024;
const longestHeaders = 64 * 1024;

/** What came is not SPDY: the connection cannot go on. */
export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

/** Finds frames in bytes that come in pieces of any size; keeps at most one unfinished control frame. */
export class SpdyDecoder {
  #pending: Buffer = Buffer.alloc(0);
  #data: { streamId: number; fin: boolean; left: number } | undefined;

  /** @throws {SpdyError} */
  push(bytes: Buffer): SpdyFrame[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const frames: SpdyFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): SpdyFrame | undefined {
    if (this.#data !== undefined) return this.#nextData(this.#data);
    if (this.#pending.length < headBytes) return undefined;
    const first = this.#pending.readUInt32BE(0);
    const flags = this.#pending[4] ?? 0;
    const length = this.#pending.readUIntBE(5, 3);
    if (first < 0x8000_0000) {
      this.#pending = this.#pending.subarray(headBytes);
      this.#data = { streamId: first, fin: (flags & finFlag) !== 0, left: length };
      return this.#nextData(this.#data);
    }
    if (((first >>> 16) & 0x7fff) !== version) throw new SpdyError(`SPDY of version ${(first >>> 16) & 0x7fff} is not spoken here`);
    if (length > longestControl) throw new SpdyError(`a control frame of ${length} bytes is too long`);
    if (this.#pending.length < headBytes + length) return undefined;
    const payload = this.#pending.subarray(headBytes, headBytes + length);
    this.#pending = this.#pending.subarray(headBytes + length);
    return { kind: 'control', type: first & 0xffff, flags, payload };
  }

  #nextData(data: { streamId: number; fin: boolean; left: number }): SpdyFrame | undefined {
    if (this.#pending.length === 0 && data.left > 0) return undefined;
    const payload = this.#pending.subarray(0, data.left);
    this.#pending = this.#pending.subarray(payload.length);
    data.left -= payload.length;
    const isLast = data.left === 0;
    if (isLast) this.#data = undefined;
    return { kind: 'data', streamId: data.streamId, fin: isLast && data.fin, payload };
  }
}

export function encodeControl(type: number, flags: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(headBytes + payload.length);
  frame.writeUInt16BE(0x8000 | version, 0);
  frame.writeUInt16BE(type, 2);
  frame[4] = flags;
  frame.writeUIntBE(payload.length, 5, 3);
  frame.set(payload, headBytes);
  return frame;
}

/** The head of a data frame; the content follows. */
export function encodeDataHead(streamId: number, length: number, fin: boolean): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(streamId, 0);
  head[4] = fin ? finFlag : 0;
  head.writeUIntBE(length, 5, 3);
  return head;
}

/** RST_STREAM, WINDOW_UPDATE, GOAWAY: two numbers. */
export function encodePair(type: number, first: number, second: number): Buffer {
  return encodeControl(type, 0, numbers(first, second));
}

export function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, index * 4));
  return bytes;
}

/** An empty stored block, as zlib's Z_SYNC_FLUSH ends with: Go's inflate gives nothing away before it. */
const flushMark = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** The headers that one side sends, compressed as one stream. Ours are few and short: they go as they are, in stored blocks of deflate. */
export class HeaderEncoder {
  #hasBegun = false;

  encode(headers: ReadonlyMap<string, string>): Buffer {
    const content = encodeHeaders(headers);
    const block = Buffer.alloc(5);
    block.writeUInt16LE(content.length, 1);
    block.writeUInt16LE(content.length ^ 0xffff, 3);
    // Deflate with a window of 32 KiB, no dictionary needed, at no effort.
    const head = this.#hasBegun ? Buffer.alloc(0) : Buffer.from([0x78, 0x01]);
    this.#hasBegun = true;
    return Buffer.concat([head, block, content, flushMark]);
  }
}

/** The headers that the other side sends: one stream of zlib over all frames. Decode one after the other. */
export class HeaderDecoder {
  readonly #inflate: Inflate;
  #failure: Error | undefined;

  constructor() {
    this.#inflate = createInflate({ dictionary: spdyDictionary, readableHighWaterMark: 2 * longestHeaders } as object);
    this.#inflate.on('error', (error) => (this.#failure = error));
  }

  /** @throws {SpdyError} for what is no headers, or far more of them than there are bytes. */
  async decode(block: Buffer): Promise<Map<string, string>> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const done = (): void => resolve(undefined);
    const onReadable = (): void => {
      if (this.#inflate.readableLength > longestHeaders) done();
    };
    this.#inflate.on('readable', onReadable).once('error', done);
    this.#inflate.write(block, done);
    await promise;
    this.#inflate.off('readable', onReadable).off('error', done);
    if (this.#failure !== undefined) throw new SpdyError(`headers cannot be inflated: ${this.#failure.message}`);
    if (this.#inflate.readableLength > longestHeaders) throw new SpdyError('headers are too long');
    return decodeHeaders((this.#inflate.read() as Buffer | null) ?? Buffer.alloc(0));
  }

  close(): void {
    this.#inflate.destroy();
  }
}

/** Names and values, not compressed. */
export function encodeHeaders(headers: ReadonlyMap<string, string>): Buffer {
  const parts = [numbers(headers.size)];
  for (const text of [...headers].flat()) {
    const bytes = Buffer.from(text);
    parts.push(numbers(bytes.length), bytes);
  }
  return Buffer.concat(parts);
}

/** Names in lower case. @throws {SpdyError} */
export function decodeHeaders(bytes: Buffer): Map<string, string> {
  let offset = 0;
  const number = (): number => {
    if (offset + 4 > bytes.length) throw new SpdyError('headers are cut short');
    offset += 4;
    return bytes.readUInt32BE(offset - 4);
  };
  const text = (): string => {
    const length = number();
    if (offset + length > bytes.length) throw new SpdyError('headers are cut short');
    offset += length;
    return bytes.toString('utf8', offset - length, offset);
  };
  const headers = new Map<string, string>();
  for (let left = number(); left > 0; left -= 1) headers.set(text().toLowerCase(), text());
  return headers;
}

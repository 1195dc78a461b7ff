/**
 * Several channels in one stream of bytes: one byte channel, four bytes length (big endian), content. The channels are those of Kubernetes'
 * remote commands (`k8s.io/apimachinery/pkg/util/remotecommand`, `v5.channel.k8s.io`).
 */
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';

export const channels = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  /** The end: a `Status` in JSON, whose details carry the exit code. */
  error: 3,
  /** `{"Width": columns, "Height": rows}`. */
  resize: 4,
  /** One byte, a channel's number: that one is closed. */
  close: 255,
} as const;

export interface Frame {
  /** 0 to 255. */
  channel: number;
  content: Buffer;
}

/** Of one frame's content. */
export const maxFrameBytes = 64 * 1024;
const headerBytes = 5;

/** What came is no frames: the stream cannot go on. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** One frame, or as many as the content needs; an empty content is one empty frame. Answers the bytes to write. */
export function encodeFrame(channel: number, content: Uint8Array | string): Buffer {
  if (!Number.isInteger(channel) || channel < 0 || channel > 255) throw new RangeError(`there is no channel ${channel}`);
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const frames = Math.max(1, Math.ceil(bytes.length / maxFrameBytes));
  const encoded = Buffer.allocUnsafe(bytes.length + frames * headerBytes);
  let offset = 0;
  for (let index = 0; index < frames; index += 1) {
    const part = bytes.subarray(index * maxFrameBytes, (index + 1) * maxFrameBytes);
    encoded[offset] = channel;
    encoded.writeUInt32BE(part.length, offset + 1);
    encoded.set(part, offset + headerBytes);
    offset += headerBytes + part.length;
  }
  return encoded;
}

/** Finds frames in bytes that come in pieces of any size; keeps at most one unfinished frame. */
export class FrameDecoder {
  /** The pieces of the unfinished frame. */
  #pieces: Buffer[] = [];
  #length = 0;
  /** Bytes that the unfinished frame has in all, its header included; the header's until that is known. */
  #needed = headerBytes;

  /** Answers the frames that are whole now. @throws {FrameError} when a frame is longer than any may be; nothing can be decoded after that. */
  push(bytes: Buffer): Frame[] {
    const frames: Frame[] = [];
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#needed - this.#length);
      this.#pieces.push(part);
      this.#length += part.length;
      rest = rest.subarray(part.length);
      if (this.#length < this.#needed) break;
      const frame = this.#complete();
      if (frame !== undefined) frames.push(frame);
    }
    return frames;
  }

  /** @throws {FrameError} when the bytes ended in the middle of a frame. */
  end(): void {
    if (this.#length > 0) throw new FrameError('the stream ended in the middle of a frame');
  }

  /** What was needed is there: the header, which says how much more is, or the whole. */
  #complete(): Frame | undefined {
    const whole = this.#pieces.length === 1 ? (this.#pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#pieces, this.#length);
    if (this.#length === headerBytes) {
      const contentBytes = whole.readUInt32BE(1);
      if (contentBytes > maxFrameBytes) throw new FrameError(`a frame of ${contentBytes} bytes is longer than ${maxFrameBytes}`);
      if (contentBytes > 0) {
        this.#pieces = [whole];
        this.#needed = headerBytes + contentBytes;
        return undefined;
      }
    }
    this.#pieces = [];
    this.#length = 0;
    this.#needed = headerBytes;
    return { channel: whole[0] ?? 0, content: whole.subarray(headerBytes) };
  }
}

/** Bytes in, {@link Frame}s out; reading is held back as any stream's. Fails with {@link FrameError}. */
export function createFrameReader(): Transform {
  const decoder = new FrameDecoder();
  return new Transform({
    readableObjectMode: true,
    readableHighWaterMark: 16,
    transform(bytes: Buffer, _encoding, done: TransformCallback): void {
      try {
        for (const frame of decoder.push(bytes)) this.push(frame);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done: TransformCallback): void {
      try {
        decoder.end();
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { channels, createFrameReader, encodeFrame, FrameDecoder, FrameError, maxFrameBytes } from './stream-frames.ts';
import type { Frame } from './stream-frames.ts';

/** Cuts bytes at the given places, which are fractions of their length. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const offsets = [...places.map((place) => Math.floor(place * bytes.length)), 0, bytes.length].sort((a, b) => a - b);
  return offsets.slice(1).map((offset, index) => bytes.subarray(offsets[index], offset));
}

/** Joins what one channel said. */
function joined(frames: readonly Frame[]): Map<number, string> {
  const groups = Map.groupBy(frames, ({ channel }) => channel);
  return new Map([...groups].map(([channel, group]) => [channel, Buffer.concat(group.map(({ content }) => content)).toString('hex')]));
}

describe('stream frames', () => {
  const frame = fc.record({ channel: fc.integer({ min: 0, max: 255 }), content: fc.uint8Array({ maxLength: 300 }) });

  it('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 20 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 }),
        (sent, places) => {
          const decoder = new FrameDecoder();
          const bytes = Buffer.concat(sent.map(({ channel, content }) => encodeFrame(channel, content)));
          const received = cut(bytes, places).flatMap((piece) => decoder.push(piece));
          decoder.end();
          assert.deepEqual(
            received.map(({ channel, content }) => [channel, content.toString('hex')]),
            sent.map(({ channel, content }) => [channel, Buffer.from(content).toString('hex')]),
          );
        },
      ),
    );
  });

  it('are several where the content is longer than one may be, and come out joined', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * maxFrameBytes + 1 }), fc.integer({ min: 1, max: 100_000 }), (length, step) => {
        const content = Buffer.alloc(length, 'potluck');
        const bytes = encodeFrame(channels.stdout, content);
        const decoder = new FrameDecoder();
        const frames: Frame[] = [];
        for (let offset = 0; offset < bytes.length; offset += step) frames.push(...decoder.push(bytes.subarray(offset, offset + step)));
        decoder.end();
        assert.equal(frames.length, Math.max(1, Math.ceil(length / maxFrameBytes)));
        assert.ok(frames.every(({ content: { length: bytesOfOne } }) => bytesOfOne <= maxFrameBytes));
        assert.deepEqual(joined(frames), new Map([[1, content.toString('hex')]]));
      }),
      { numRuns: 50 },
    );
  });

  it('never make the decoder throw anything but FrameError, nor keep more than one frame', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (pieces) => {
        const decoder = new FrameDecoder();
        try {
          for (const piece of pieces) decoder.push(Buffer.from(piece));
          decoder.end();
        } catch (error) {
          assert.ok(error instanceof FrameError);
        }
      }),
    );
  });

  it('that are too long are refused when their header is read, before any content', () => {
    const header = Buffer.from([1, 0, 1, 0, 1]);
    assert.throws(() => new FrameDecoder().push(header), FrameError);
    assert.doesNotThrow(() => new FrameDecoder().push(Buffer.from([1, 0, 1, 0, 0])));
  });

  it('have no channel beyond a byte', () => {
    assert.throws(() => encodeFrame(256, ''), RangeError);
    assert.throws(() => encodeFrame(-1, ''), RangeError);
  });

  it('are read from a stream, which fails when it ends in the middle of one', async () => {
    const bytes = Buffer.concat([encodeFrame(channels.stdin, 'ab'), encodeFrame(channels.close, Buffer.from([0]))]);
    const read = async (content: Buffer): Promise<Frame[]> => {
      const frames: Frame[] = [];
      const reader = Readable.from([content.subarray(0, 3), content.subarray(3)]).pipe(createFrameReader());
      for await (const each of reader) frames.push(each as Frame);
      return frames;
    };
    assert.deepEqual(
      (await read(bytes)).map(({ channel, content }) => [channel, [...content]]),
      [
        [0, [97, 98]],
        [255, [0]],
      ],
    );
    await assert.rejects(read(bytes.subarray(0, -1)), FrameError);
  });
});

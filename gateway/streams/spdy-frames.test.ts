import assert from 'node:assert/strict';
import { constants, createDeflate, createInflate, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { spdyDictionary } from './spdy-dictionary.ts';
import {
  controlTypes,
  decodeHeaders,
  encodeControl,
  encodeDataHead,
  encodeHeaders,
  HeaderDecoder,
  HeaderEncoder,
  SpdyDecoder,
  SpdyError,
  type SpdyFrame,
} from './spdy-frames.ts';

const bytes = fc.uint8Array({ maxLength: 2_000 }).map((array) => Buffer.from(array));
const frame = fc.oneof(
  fc.record({ kind: fc.constant('control' as const), type: fc.nat(20), flags: fc.nat(255), payload: bytes }),
  fc.record({ kind: fc.constant('data' as const), streamId: fc.integer({ min: 1, max: 0x7fff_ffff }), fin: fc.boolean(), payload: bytes }),
);

function encode(one: SpdyFrame): Buffer {
  if (one.kind === 'control') return encodeControl(one.type, one.flags, one.payload);
  return Buffer.concat([encodeDataHead(one.streamId, one.payload.length, one.fin), one.payload]);
}

/** Pieces of one data frame together. */
function joined(frames: readonly SpdyFrame[]): SpdyFrame[] {
  const whole: SpdyFrame[] = [];
  let open: (SpdyFrame & { kind: 'data' }) | undefined;
  for (const one of frames) {
    if (one.kind === 'control') whole.push(one);
    else {
      open = open === undefined ? { ...one } : { ...one, payload: Buffer.concat([open.payload, one.payload]) };
      whole.push(open);
    }
    if (one.kind === 'control') open = undefined;
  }
  return whole;
}

describe('SpdyDecoder', () => {
  it('finds the frames that were encoded, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.integer({ min: 1, max: 3_000 }), (frames, size) => {
        const all = Buffer.concat(frames.map(encode));
        const decoder = new SpdyDecoder();
        const found: SpdyFrame[] = [];
        for (let offset = 0; offset < all.length; offset += size) found.push(...decoder.push(all.subarray(offset, offset + size)));
        const content = (of: readonly SpdyFrame[]): string =>
          of
            .map((one) => (one.kind === 'control' ? `c${one.type}/${one.flags}:` : `d${one.streamId}:`) + one.payload.toString('hex'))
            .join('|');
        const expected = content(frames);
        if (size >= all.length) assert.equal(content(found), expected);
        // Data comes in pieces: of each stream all bytes in order, and its end where it was.
        const data = (of: readonly SpdyFrame[], id: number): string =>
          of
            .flatMap((one) => (one.kind === 'data' && one.streamId === id ? [one.payload.toString('hex') + (one.fin ? '.' : '')] : []))
            .join('');
        for (const one of frames) if (one.kind === 'data') assert.equal(data(found, one.streamId), data(frames, one.streamId));
        assert.equal(content(found.filter(({ kind }) => kind === 'control')), content(frames.filter(({ kind }) => kind === 'control')));
        assert.ok(joined(found).length >= 0);
      }),
    );
  });

  it('refuses other versions, and control frames that nobody sends', () => {
    assert.throws(() => new SpdyDecoder().push(Buffer.from('800200010000000a', 'hex')), /SPDY of version 2/);
    assert.throws(() => new SpdyDecoder().push(Buffer.from('80030001ffffffff', 'hex')), SpdyError);
  });

  it('holds no more of a long data frame than what came last', () => {
    const decoder = new SpdyDecoder();
    decoder.push(encodeDataHead(1, 0xff_ffff, false));
    let taken = 0;
    for (let index = 0; index < 100; index += 1) {
      for (const one of decoder.push(Buffer.alloc(10_000))) taken += one.payload.length;
    }
    assert.equal(taken, 1_000_000);
  });
});

describe('headers', () => {
  const headers = fc
    .dictionary(fc.stringMatching(/^[a-z-]{1,20}$/), fc.string({ maxLength: 200 }), { maxKeys: 6 })
    .map((object) => new Map(Object.entries(object)));

  it('are what a client compressed, frame after frame', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(headers, { minLength: 1, maxLength: 5 }), async (frames) => {
        const deflate = createDeflate({ dictionary: spdyDictionary });
        const decoder = new HeaderDecoder();
        for (const one of frames) {
          const block = await new Promise<Buffer>((resolve) => {
            deflate.write(encodeHeaders(one));
            deflate.flush(constants.Z_SYNC_FLUSH, () => resolve(deflate.read() as Buffer));
          });
          assert.deepEqual(await decoder.decode(block), one);
        }
        decoder.close();
        deflate.destroy();
      }),
      { numRuns: 30 },
    );
  });

  it('of ours can be inflated by anybody, also by who gives nothing away before a flush', () => {
    const encoder = new HeaderEncoder();
    const blocks = [new Map([['a', 'b']]), new Map<string, string>(), new Map([['c', 'ü']])].map((one) => encoder.encode(one));
    const inflated = inflateSync(Buffer.concat(blocks), { finishFlush: constants.Z_SYNC_FLUSH });
    assert.deepEqual(decodeHeaders(inflated.subarray(0, 14)), new Map([['a', 'b']]));
    for (const block of blocks) assert.ok(block.subarray(-5).equals(Buffer.from([0, 0, 0, 0xff, 0xff])));
    createInflate().destroy();
  });

  it('that are cut short, broken, or far larger than what was sent are refused', async () => {
    assert.throws(() => decodeHeaders(Buffer.from('0000000100000005', 'hex')), SpdyError);
    assert.throws(() => decodeHeaders(Buffer.from('00', 'hex')), SpdyError);
    assert.throws(() => decodeHeaders(Buffer.from('ffffffff', 'hex')), SpdyError);
    await assert.rejects(new HeaderDecoder().decode(Buffer.from('this is no zlib')), SpdyError);
    const deflate = createDeflate({ dictionary: spdyDictionary });
    const bomb = await new Promise<Buffer>((resolve) => {
      deflate.write(encodeHeaders(new Map([['a', '0'.repeat(10_000_000)]])));
      deflate.flush(constants.Z_SYNC_FLUSH, () => resolve(deflate.read() as Buffer));
    });
    assert.ok(bomb.length < 20_000);
    await assert.rejects(new HeaderDecoder().decode(bomb), /too long/);
    deflate.destroy();
  });
});

describe('what kubectl 1.20 sent to open a command', () => {
  /** Recorded from Debian's kubernetes-client 1.20.2: `kubectl exec -i web -- sh`, as it came in. */
  const recorded = [
    '8003',
    '0001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff',
    '8003',
    '00010000001700000003000000000000c22e555c92929907000000ffff',
  ];

  it('is two streams, for errors and for input', async () => {
    const decoder = new SpdyDecoder();
    const headers = new HeaderDecoder();
    const seen: unknown[] = [];
    for (const piece of recorded) {
      for (const one of decoder.push(Buffer.from(piece, 'hex'))) {
        assert.ok(one.kind === 'control' && one.type === controlTypes.synStream);
        seen.push([one.payload.readUInt32BE(0), Object.fromEntries(await headers.decode(one.payload.subarray(10)))]);
      }
    }
    assert.deepEqual(seen, [
      [1, { streamtype: 'error' }],
      [3, { streamtype: 'stdin' }],
    ]);
    headers.close();
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, type Duplex } from 'node:stream';
import { constants, createDeflate, type Deflate } from 'node:zlib';
import { spdyDictionary } from './spdy-dictionary.ts';
import {
  controlTypes,
  encodeControl,
  encodeDataHead,
  encodeHeaders,
  encodePair,
  numbers,
  SpdyDecoder,
  type SpdyFrame,
} from './spdy-frames.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';

const none = Buffer.alloc(0);

/** A client, as little of one as it takes. */
class Client {
  readonly socket: Duplex;
  readonly frames: SpdyFrame[] = [];
  readonly #deflate: Deflate = createDeflate({ dictionary: spdyDictionary });
  readonly #decoder = new SpdyDecoder();

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.frames.push(...this.#decoder.push(bytes))).on('error', () => undefined);
  }

  async open(id: number, headers: Record<string, string>, flags = 0): Promise<void> {
    const block = await new Promise<Buffer>((resolve) => {
      this.#deflate.write(encodeHeaders(new Map(Object.entries(headers))));
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve(this.#deflate.read() as Buffer));
    });
    this.socket.write(encodeControl(controlTypes.synStream, flags, Buffer.concat([numbers(id, 0), Buffer.alloc(2), block])));
  }

  data(id: number, content: string | Buffer, fin = false): boolean {
    const bytes = Buffer.from(content as string);
    return this.socket.write(Buffer.concat([encodeDataHead(id, bytes.length, fin), bytes]));
  }

  received(id: number): Buffer {
    return Buffer.concat(this.frames.flatMap((one) => (one.kind === 'data' && one.streamId === id ? [one.payload] : [])));
  }

  controls(type: number): Buffer[] {
    return this.frames.flatMap((one) => (one.kind === 'control' && one.type === type ? [one.payload] : []));
  }
}

function start(maxStreams = 8): { client: Client; session: SpdySession; streams: SpdyStream[]; closed: Promise<void> } {
  const [near, far] = duplexPair();
  const streams: SpdyStream[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<undefined>();
  const session = new SpdySession(near, none, {
    maxStreams,
    onStream: (stream) => streams.push(stream),
    onClose: () => resolve(undefined),
  });
  return { client: new Client(far), session, streams, closed };
}

async function until(claim: () => boolean): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (!claim()) {
    assert.ok(performance.now() < deadline, claim.toString());
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('SpdySession', () => {
  it('answers each stream, and ends it when both sides have', async () => {
    const { client, streams, session, closed } = start();
    await client.open(1, { StreamType: 'data', port: '80' });
    client.data(1, 'hello', true);
    await until(() => streams.length === 1);
    assert.deepEqual(Object.fromEntries(streams[0]!.headers), { streamtype: 'data', port: '80' });
    assert.equal(client.controls(controlTypes.synReply).length, 1);
    assert.equal(String(Buffer.concat(await streams[0]!.toArray())), 'hello');
    streams[0]!.end('there');
    await until(() => client.frames.some((one) => one.kind === 'data' && one.fin));
    assert.equal(String(client.received(1)), 'there');
    assert.equal(client.controls(controlTypes.rstStream).length, 0);
    session.close();
    await until(() => client.controls(controlTypes.goAway).length === 1);
    client.socket.end();
    await closed;
  });

  it('answers pings, and refuses more streams than it may have', async () => {
    const { client, streams } = start(1);
    client.socket.write(encodeControl(controlTypes.ping, 0, numbers(1)));
    await until(() => client.controls(controlTypes.ping).length === 1);
    await client.open(1, {});
    await client.open(3, {});
    await until(() => client.controls(controlTypes.rstStream).length === 1);
    assert.deepEqual(client.controls(controlTypes.rstStream)[0], numbers(3, 3));
    assert.equal(streams.length, 1);
    client.socket.destroy();
  });

  it('hangs up on numbers that go back, even ones, and what is no SPDY', async () => {
    for (const [first, second] of [
      [3, 1],
      [1, 1],
      [1, 2],
    ] as const) {
      const { client, closed } = start();
      await client.open(first, {});
      await client.open(second, {});
      await closed;
    }
    const { client, closed } = start();
    client.socket.write('GET / HTTP/1.1\r\n\r\n'.repeat(4));
    client.socket.write(Buffer.from('8002000100000000', 'hex'));
    client.socket.end();
    await closed;
  });

  it('holds up a client of whose stream too much waits, and lets it go on', async () => {
    const { client, streams } = start();
    await client.open(1, {});
    await until(() => streams.length === 1);
    let sent = 0;
    const piece = Buffer.alloc(16_000);
    for (let tries = 0; tries < 1_000; tries += 1) {
      if (!client.data(1, piece)) {
        const drained = once(client.socket, 'drain').then(() => true);
        const stuck = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 100));
        if (!(await Promise.race([drained, stuck]))) break;
      }
      sent += piece.length;
    }
    assert.ok(sent < 1_000_000, `${sent} bytes were taken`);
    assert.ok(streams[0]!.readableLength < 600_000);
    streams[0]!.resume();
    await once(client.socket, 'drain');
    client.socket.destroy();
  });

  it('keeps to the windows of a client that has some, and gives it windows', async () => {
    const { client, streams } = start();
    client.socket.write(encodeControl(controlTypes.settings, 0, numbers(1, 7, 10)));
    await client.open(1, {});
    await until(() => streams.length === 1);
    streams[0]!.write('0123456789abcdef');
    await until(() => client.received(1).length === 10);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(String(client.received(1)), '0123456789');
    client.socket.write(encodePair(controlTypes.windowUpdate, 1, 6));
    await until(() => String(client.received(1)) === '0123456789abcdef');
    streams[0]!.resume();
    for (let index = 0; index < 3; index += 1) client.data(1, Buffer.alloc(16_000));
    await until(() => client.controls(controlTypes.windowUpdate).some((payload) => payload.readUInt32BE(0) === 1));
    client.socket.destroy();
  });

  it('destroys every stream when the client is gone', async () => {
    const { client, streams, closed } = start();
    await client.open(1, {});
    await until(() => streams.length === 1);
    client.socket.destroy();
    client.socket.emit('end');
    streams[0]!.write(Buffer.alloc(100));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500))]);
    streams[0]!.destroy();
    assert.ok(streams[0]!.destroyed);
  });
});

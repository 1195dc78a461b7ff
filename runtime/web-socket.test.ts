import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { duplexPair, type Writable } from 'node:stream';
import fc from 'fast-check';
import { WebSocketConnection } from './web-socket-connection.ts';
import { acceptKey, WebSocketError, WebSocketStream } from './web-socket.ts';

const none = Buffer.alloc(0);
const maxMessageBytes = 200_000;

function pair(): [client: WebSocketStream, server: WebSocketStream] {
  const [one, other] = duplexPair();
  return [
    new WebSocketStream(one, none, { side: 'client', maxMessageBytes }),
    new WebSocketStream(other, none, { side: 'server', maxMessageBytes }),
  ];
}

async function read(stream: AsyncIterable<unknown>): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  for await (const message of stream) messages.push(message as Buffer);
  return messages;
}

/** A server, and what is written to its connection, cut as one likes. */
function server(): { socket: Writable; stream: WebSocketStream; sent: () => Buffer } {
  const [near, far] = duplexPair();
  const chunks: Buffer[] = [];
  far.on('data', (chunk: Buffer) => chunks.push(chunk));
  const stream = new WebSocketStream(near, none, { side: 'server', maxMessageBytes });
  stream.on('error', () => undefined);
  return { socket: far, stream, sent: () => Buffer.concat(chunks) };
}

const mask = Buffer.from([1, 2, 3, 4]);
function masked(first: number, payload: Buffer, declared = payload.length): Buffer {
  const body = Buffer.from(payload.map((byte, index) => byte ^ mask[index & 3]!));
  return Buffer.concat([Buffer.of(first, 0x80 | declared), mask, body]);
}

describe('acceptKey()', () => {
  it('answers as RFC 6455 says', () => assert.equal(acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='));
});

describe('WebSocketStream', () => {
  it('carries messages of any size both ways, as they are', async () => {
    const messages = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(125, 126, 65_535, 65_536, 150_000).map((n) => new Uint8Array(n)),
      ),
      {
        maxLength: 6,
      },
    );
    const hash = (all: readonly Uint8Array[]): string[] => all.map((one) => createHash('sha256').update(one).digest('hex'));
    await fc.assert(
      fc.asyncProperty(messages, fc.boolean(), async (sent, isFromClient) => {
        const [client, end] = pair();
        const [from, to] = isFromClient ? [client, end] : [end, client];
        for (const message of sent) from.write(Buffer.from(message));
        from.end();
        // A close is an end of both ways.
        const [received, answered] = await Promise.all([read(to), read(from)]);
        assert.deepEqual([hash(received), answered], [hash(sent), []]);
      }),
      { numRuns: 50 },
    );
  });

  it('finds messages however they are cut, in fragments and around pings', async () => {
    const bytes = Buffer.concat([
      masked(0x02, Buffer.from('one ')),
      masked(0x89, Buffer.from('ping')),
      masked(0x80, Buffer.from('message')),
      masked(0x82, Buffer.from('another')),
      masked(0x88, Buffer.from([3, 232])),
    ]);
    for (const size of [1, 2, 7, bytes.length]) {
      const { socket, stream, sent } = server();
      for (let offset = 0; offset < bytes.length; offset += size) socket.write(bytes.subarray(offset, offset + size));
      assert.deepEqual((await read(stream)).map(String), ['one message', 'another']);
      assert.ok(sent().includes(Buffer.from([0x8a, 4, ...Buffer.from('ping')])), 'a pong');
    }
  });

  it('refuses what the protocol does not allow, and says which code', async () => {
    const wrong: readonly (readonly [string, Buffer, number])[] = [
      ['no mask', Buffer.from([0x82, 1, 65]), 1002],
      ['reserved bits', masked(0xc2, Buffer.from('x')), 1002],
      ['an opcode that is none', masked(0x83, Buffer.from('x')), 1002],
      ['a continuation of nothing', masked(0x80, Buffer.from('x')), 1002],
      ['a message in another', Buffer.concat([masked(0x02, Buffer.from('x')), masked(0x82, Buffer.from('y'))]), 1002],
      ['a ping in fragments', masked(0x09, Buffer.from('x')), 1002],
      ['too long', Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0]), mask]), 1009],
      [
        'too long in the end',
        Buffer.concat([
          Buffer.from([0x02, 0xff, 0, 0, 0, 0, 0, 3, 0, 0]),
          mask,
          Buffer.alloc(196_608),
          Buffer.from([0x80, 0xfe, 255, 255]),
          mask,
        ]),
        1009,
      ],
    ];
    for (const [what, bytes, code] of wrong) {
      const { socket, stream } = server();
      const { promise: failed, resolve } = Promise.withResolvers<undefined>();
      stream.once('close', () => resolve(undefined));
      const errors: unknown[] = [];
      stream.on('error', (error) => errors.push(error)).resume();
      socket.write(bytes);
      await failed;
      assert.ok(errors[0] instanceof WebSocketError && errors[0].code === code, `${what}: ${String(errors[0])}`);
    }
  });

  it('is held up by who does not read', async () => {
    const [client, end] = pair();
    let written = 0;
    while (client.write(Buffer.alloc(10_000)) && written < 10_000) written += 1;
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(written < 200, `${written} messages of 10 kB wait`);
    client.destroy();
    end.on('error', () => undefined).destroy();
  });

  it('fails when the other end is gone without a word', async () => {
    const [near, far] = duplexPair();
    const stream = new WebSocketStream(near, none, { side: 'server', maxMessageBytes });
    stream.resume();
    far.end();
    const [error] = (await once(stream, 'error')) as [WebSocketError];
    assert.equal(error.code, 1006);
  });
});

describe('WebSocketConnection', () => {
  it('ends each way by itself, and tells an end from a break', async () => {
    const [one, other] = duplexPair();
    const client: Duplex = new WebSocketConnection(one, none, 'client');
    const end: Duplex = new WebSocketConnection(other, none, 'server');
    client.end('hello');
    assert.equal(Buffer.concat(await read(end)).toString(), 'hello');
    end.write('there ');
    end.end('you are');
    assert.equal(Buffer.concat(await read(client)).toString(), 'there you are');

    const [three, four] = duplexPair();
    const broken = new WebSocketConnection(three, none, 'client');
    new WebSocketConnection(four, none, 'server').destroy();
    broken.resume();
    await once(broken, 'error');
  });
});

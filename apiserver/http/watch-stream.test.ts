import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WatchEvent } from '../registry/resource.ts';
import { WatchStream } from './watch-stream.ts';

const encode = (event: WatchEvent): Uint8Array[] => [Buffer.from('{"n":'), Buffer.from(String(revisionOf(event))), Buffer.from('}\n')];
const revisionOf = (event: WatchEvent): number => (event.type === 'BOOKMARK' ? event.revision : event.stored.revision);
const bookmark = (revision: number): WatchEvent => ({ type: 'BOOKMARK', revision, initialEventsEnd: false });

describe('WatchStream', () => {
  let cleanUp: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const step of cleanUp) await step();
    cleanUp = [];
  });

  /** A request that is answered by whoever takes the response. */
  async function exchange(): Promise<{ response: ServerResponse; client: Promise<IncomingMessage> }> {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const server = createServer((_request, response) => resolve(response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { promise: client, resolve: answered } = Promise.withResolvers<IncomingMessage>();
    get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }, answered);
    cleanUp.push(async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    });
    return { response: await promise, client };
  }

  it('writes events in order, then ends when it is told to, and closes the registry’s watch once', async () => {
    const { response, client } = await exchange();
    let handleCloses = 0;
    let closes = 0;
    const stream = new WatchStream(response, encode, { bufferBytes: 1000, stallMs: 5000 }, () => closes++);
    stream.open({ close: () => handleCloses++ }, 60_000);
    for (let revision = 1; revision <= 50; revision++) stream.onEvent(bookmark(revision));
    stream.finish();
    stream.onEvent(bookmark(99));
    const lines = (await textOf(await client)).trim().split('\n');
    assert.deepEqual(
      lines,
      Array.from({ length: 50 }, (_, index) => `{"n":${index + 1}}`),
    );
    assert.ok(handleCloses >= 1);
    assert.equal(closes, 1);
  });

  it('takes a first burst of any size, but cuts off who does not keep up afterwards, with 410', async () => {
    const { response, client } = await exchange();
    let closes = 0;
    const large = (): Uint8Array[] => [Buffer.alloc(100_000, 'x'), Buffer.from('\n')];
    const stream = new WatchStream(response, large, { bufferBytes: 500_000, stallMs: 30_000 }, () => closes++);
    for (let count = 0; count < 200; count++) stream.onEvent(bookmark(count));
    stream.open({ close: () => undefined }, 60_000);
    const message = await client;
    await new Promise(setImmediate);
    assert.equal(closes, 0);
    for (let count = 0; count < 200; count++) {
      stream.onEvent(bookmark(count));
      if (count % 5 === 0) await new Promise(setImmediate);
    }
    const text = await textOf(message);
    assert.match(text, /\n\{"type":"ERROR","object":\{.*"code":410.*\n$/u);
    assert.ok(
      text.split('\n').every((line) => line === '' || line.startsWith('{') || /^x{100000}$/u.test(line)),
      'no line was cut',
    );
  });

  it('bounds what waits for a client that never read the state at the beginning', async () => {
    const { response, client } = await exchange();
    const shut: number[] = [];
    const large = (): Uint8Array[] => [Buffer.alloc(100_000, 'x'), Buffer.from('\n')];
    const stream = new WatchStream(response, large, { bufferBytes: 500_000, stallMs: 30_000 }, () => undefined);
    for (let count = 0; count < 300; count++) stream.onEvent(bookmark(count));
    stream.open({ close: () => shut.push(performance.now()) }, 60_000);
    await client;
    await new Promise(setImmediate);
    assert.deepEqual(shut, []);
    for (let count = 0; count < 6; count++) stream.onEvent(bookmark(count));
    assert.ok(shut.length > 0, 'the watch goes on although more waits than is allowed');
  });

  it('drops a client that takes nothing', async () => {
    const { response, client } = await exchange();
    const { promise: closed, resolve } = Promise.withResolvers<undefined>();
    const large = (): Uint8Array[] => [Buffer.alloc(1_000_000, 'x')];
    const stream = new WatchStream(response, large, { bufferBytes: 1e9, stallMs: 50 }, () => resolve(undefined));
    stream.open({ close: () => undefined }, 60_000);
    await client;
    for (let count = 0; count < 30; count++) stream.onEvent(bookmark(count));
    await closed;
    assert.ok(response.destroyed);
  });

  it('ends after its lifetime', async () => {
    const { response, client } = await exchange();
    const stream = new WatchStream(response, encode, { bufferBytes: 1000, stallMs: 5000 }, () => undefined);
    stream.open({ close: () => undefined }, 10);
    assert.equal(await textOf(await client), '');
  });
});

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

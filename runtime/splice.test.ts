import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { splice } from './splice.ts';

/** Two ends of a TCP connection that may be closed on each side by itself. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  return [near, far];
}

async function read(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('splice()', () => {
  it('carries both ways, each to its own end, and counts', async () => {
    const [[a, inner], [outer, b]] = await Promise.all([pair(), pair()]);
    const spliced = splice(inner, outer);
    a.end('question');
    assert.equal(await read(b), 'question');
    b.end('a longer answer');
    assert.equal(await read(a), 'a longer answer');
    assert.deepEqual(await spliced, { there: 8, back: 15 });
  });

  it('cuts one when the other breaks', async () => {
    const [[a, inner], [outer, b]] = await Promise.all([pair(), pair()]);
    const spliced = splice(inner, outer);
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => b.once('error', resolve));
    a.on('error', () => undefined);
    a.write('half of it');
    await once(b, 'data');
    a.resetAndDestroy();
    const { error } = await spliced;
    assert.ok(error !== undefined);
    assert.ok(outer.destroyed);
    assert.equal((await reset).code, 'ECONNRESET');
  });

  it('cuts also who takes nothing any more', async () => {
    const [[a, inner], [outer, b]] = await Promise.all([pair(), pair()]);
    const spliced = splice(inner, outer);
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => b.once('error', resolve));
    a.on('error', () => undefined);
    b.pause();
    while (outer.writableLength === 0) {
      a.write(Buffer.alloc(1_000_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    inner.destroy(new Error('enough'));
    assert.ok((await spliced).error !== undefined);
    b.resume();
    assert.equal((await reset).code, 'ECONNRESET');
  });

  it('does not wait for what is closed already', async () => {
    const [[a, inner], [outer, b]] = await Promise.all([pair(), pair()]);
    inner.destroy();
    await once(inner, 'close');
    const { error } = await splice(inner, outer);
    assert.ok(error !== undefined && outer.destroyed);
    a.destroy();
    b.destroy();
  });
});

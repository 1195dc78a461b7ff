import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { BodyReader } from './read-body.ts';

function upload(bytes: number): IncomingMessage & PassThrough {
  const stream = Object.assign(new PassThrough(), { headers: {} });
  stream.write(Buffer.alloc(bytes));
  return stream as unknown as IncomingMessage & PassThrough;
}

describe('BodyReader', () => {
  it('bounds what one user has under way, and all together, and lets go of it afterwards', async () => {
    const reader = new BodyReader({ totalBytes: 250, userBytes: 150 });
    const first = upload(100);
    const reading = reader.read(first, 'ann');
    await new Promise(setImmediate);
    await assert.rejects(reader.read(upload(100), 'ann'), { code: 429 });
    const other = upload(100);
    const othersReading = reader.read(other, 'ben');
    await new Promise(setImmediate);
    await assert.rejects(reader.read(upload(100), 'eve'), { code: 429 });
    first.end();
    other.end();
    assert.equal((await reading).length, 100);
    assert.equal((await othersReading).length, 100);
    const again = upload(140);
    again.end();
    assert.equal((await reader.read(again, 'ann')).length, 140);
  });

  it('leaves the connection whole when a body is too large, so that the answer gets through', async () => {
    const request = upload(3 * 1024 * 1024 + 1);
    await assert.rejects(new BodyReader().read(request, 'ann'), { code: 413, message: 'Request entity too large: limit is 3145728' });
    assert.equal(request.destroyed, false);
  });
});

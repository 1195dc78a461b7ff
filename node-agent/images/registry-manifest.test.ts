import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { imageSize, isLoopback, manifestBytes, parseChallenge, platformDigest } from './registry-manifest.ts';

const manifest = { config: { size: 100 }, layers: [{ size: 1000 }, { size: 10_000 }] };
const index = {
  manifests: [
    { digest: 'sha256:a', platform: { os: 'linux', architecture: 'arm64' } },
    { digest: 'sha256:b', platform: { os: 'linux', architecture: 'amd64' } },
    { digest: 'sha256:c', platform: { os: 'windows', architecture: 'amd64' } },
  ],
};

describe('what a manifest says', () => {
  it('is the sum of its parts', () => {
    assert.equal(manifestBytes(manifest), 11_100);
  });

  it('is not believed where it is none', () => {
    for (const wrong of [
      null,
      1,
      {},
      { layers: [] },
      { config: { size: 1 }, layers: [{ size: -1 }] },
      { config: { size: '1' }, layers: [] },
    ]) {
      assert.throws(() => manifestBytes(wrong));
    }
  });

  it('is chosen by the architecture', () => {
    assert.equal(platformDigest(index, 'amd64'), 'sha256:b');
    assert.equal(platformDigest(manifest, 'amd64'), undefined);
    assert.throws(() => platformDigest(index, 'riscv64'), /no variant for linux\/riscv64/);
  });
});

it('parseChallenge() reads the scheme and its parameters', () => {
  assert.deepEqual(parseChallenge('Bearer realm="https://auth.example/token",service="registry.example"'), {
    scheme: 'bearer',
    parameters: { realm: 'https://auth.example/token', service: 'registry.example' },
  });
  assert.deepEqual(parseChallenge('Basic realm="x, y"'), { scheme: 'basic', parameters: { realm: 'x, y' } });
  assert.equal(parseChallenge('').scheme, '');
});

it('isLoopback() knows what Docker trusts without TLS', () => {
  assert.deepEqual(
    ['127.0.0.1:5000', 'localhost', '127.9.9.9', '[::1]:1', 'localhost.example', '128.0.0.1', '127.0.0.1.example'].map(isLoopback),
    [true, true, true, true, false, false, false],
  );
});

/** What docker-registry with passwords cannot show: a token service, an index, and answers that go wrong. */
describe('imageSize()', () => {
  let server: Server;
  let host: string;
  let answer: RequestListener;

  before(async () => {
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const ask = (credentials?: { username: string; password: string }): Promise<number> =>
    imageSize(
      { reference: `${host}/a/b:1`, architecture: 'amd64', ...(credentials === undefined ? {} : { credentials }) },
      AbortSignal.timeout(5_000),
    );

  it('gets a token where the registry says, and follows an index', async () => {
    const asked: string[] = [];
    answer = (request, response) => {
      const { url = '', headers } = request;
      asked.push(url);
      if (url.startsWith('/token')) {
        assert.equal(headers.authorization, `Basic ${Buffer.from('ann:pw').toString('base64')}`);
        response.end('{"token":"t"}');
      } else if (headers.authorization !== 'Bearer t') {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="here"` }).end();
      } else {
        response.end(JSON.stringify(url.endsWith('/1') ? index : manifest));
      }
    };
    assert.equal(await ask({ username: 'ann', password: 'pw' }), 11_100);
    assert.deepEqual(asked, [
      '/v2/a/b/manifests/1',
      '/token?service=here&scope=repository%3Aa%2Fb%3Apull',
      '/v2/a/b/manifests/1',
      '/v2/a/b/manifests/sha256%3Ab',
    ]);
  });

  it('rejects when the registry does not tell', async () => {
    answer = (_request, response) => response.writeHead(404).end('{}');
    await assert.rejects(ask(), /the registry answered 404/);
    answer = (_request, response) => response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    await assert.rejects(ask(), /the registry wants credentials/);
    answer = (_request, response) => response.end('no JSON');
    await assert.rejects(ask());
  });

  it('reads no more than a manifest may have', async () => {
    answer = (_request, response) => {
      response.on('error', () => undefined);
      response.write(Buffer.alloc(3 * 1024 * 1024, 32));
      response.end(Buffer.alloc(3 * 1024 * 1024, 32));
    };
    await assert.rejects(ask(), /more than it should/);
  });
});

/** The API server, in a process of its own, under clients that mean it no good: it answers with a 4xx or closes, and serves on. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { signClientCertificate } from '../../apiserver/access/certificates.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import type { ApiServerProcess } from '../support/api-server-process.ts';
import { startApiServerProcess } from '../support/api-server-process.ts';
import { eventually } from '../support/eventually.ts';
import type { Credentials, RawAnswer, RawRequest } from '../support/https-request.ts';
import { openRequest, rawRequest } from '../support/https-request.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const instances = '/apis/potluck.dev/v1alpha1/namespaces/default/instances';
const mebibyte = 1024 * 1024;
const json = 'application/json';
const yaml = 'application/yaml';

describe('the API server, abused,', function () {
  this.timeout(40_000);
  let api: ApiServerProcess;
  let memoryAtStart: number;

  before(async () => {
    api = await startApiServerProcess();
    memoryAtStart = await api.memoryBytes();
  });
  after(() => api.stop());
  afterEach(async () => {
    assert.ok(api.running, 'the process is gone');
    assert.equal((await send('/readyz')).code, 200);
  });

  const send = (path: string, raw: RawRequest = {}, credentials: Credentials = api.admin): Promise<RawAnswer> =>
    rawRequest(`${api.url}${path}`, credentials, raw);
  const post = (path: string, contentType: string, body: string | Buffer): Promise<RawAnswer> =>
    send(path, { method: 'POST', headers: { 'content-type': contentType }, body });

  it('does not believe certificates of another authority, expired ones, and ones for servers', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'potluck-other-ca-'));
    try {
      const subject = { commonName: 'potluck-admin', organizations: ['system:masters'] };
      const other = await openPki({ directory, serverNames: [], now: () => Date.now() });
      const foreign = await other.issueClientCertificate({ ...subject, lifetimeMs: 3_600_000 });
      const pem = (file: string): Promise<string> => readFile(join(api.home, 'pki', file), 'utf8');
      const authority = { keyPem: await pem('ca.key'), certPem: await pem('ca.crt') };
      const lastYear = { nowMs: Date.now() - 365 * 86_400_000, lifetimeMs: 86_400_000 };
      const expired = await signClientCertificate(authority, subject, lastYear);
      const server = { keyPem: await pem('server.key'), certPem: await pem('server.crt') };
      for (const { keyPem, certPem } of [foreign, expired, server]) {
        const credentials = { ca: api.admin.ca, key: Buffer.from(keyPem), cert: Buffer.from(certPem) };
        const { code, json: status } = await send('/api/v1/namespaces', {}, credentials);
        assert.deepEqual([code, status?.['reason']], [401, 'Unauthorized']);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('answers or closes whatever stands where a request should', async () => {
    const host = 'Host: x\r\n';
    const last = `${host}Connection: close\r\n`;
    const upload = `POST /api/v1/namespaces HTTP/1.1\r\n${host}`;
    const cases: [what: string, request: string, answer: RegExp][] = [
      [
        'two lengths of the body',
        `${upload}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n`,
        /^HTTP\/1\.1 400 [^]*close/u,
      ],
      ['two lengths', `${upload}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}`, /^HTTP\/1\.1 400 /u],
      ['an endless length', `${upload}Content-Length: 99999999999999999999\r\n\r\n`, /^HTTP\/1\.1 400 /u],
      ['an endless chunk', `${upload}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n`, /^HTTP\/1\.1 400 /u],
      ['endless trailers', `${upload}Transfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(10_000)}`, /^HTTP\/1\.1 431 /u],
      ['a bare line feed', `GET /version HTTP/1.1\nHost: x\n\n`, /^HTTP\/1\.1 400 /u],
      ['a folded header', `GET /version HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, /^HTTP\/1\.1 400 /u],
      ['NUL in a header', `GET /version HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, /^HTTP\/1\.1 400 /u],
      ['100,000 parameters', `GET /api?${'x=1&'.repeat(100_000)} HTTP/1.1\r\n${last}\r\n`, /^HTTP\/1\.1 431 |^$/u],
      ['10,000 headers', `GET /api HTTP/1.1\r\n${'A: b\r\n'.repeat(10_000)}${last}\r\n`, /^HTTP\/1\.1 431 /u],
      ['no HTTP', '\0\u0001\u0002\r\n\r\n', /^HTTP\/1\.1 400 /u],
      ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 400 /u],
      ['CONNECT', `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${host}\r\n`, /^$/u],
      ['an unknown expectation', `${upload}Expect: gold\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`, /^HTTP\/1\.1 417 /u],
      [
        'a body announced too large',
        `${upload}Expect: 100-continue\r\nContent-Length: 200000000\r\n\r\n`,
        /HTTP\/1\.1 413 [^]*limit is 3145728/u,
      ],
      ['an upgrade', `GET /version HTTP/1.1\r\n${host}Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n`, /^HTTP\/1\.1 200 /u],
      ['OPTIONS', `OPTIONS * HTTP/1.1\r\n${last}\r\n`, /^HTTP\/1\.1 405 [^]*"reason":"MethodNotAllowed"/u],
      ['HEAD of a watch', `HEAD /api/v1/namespaces?watch=1 HTTP/1.1\r\n${last}\r\n`, /^HTTP\/1\.1 200 [^{]*$/u],
      ['a whole URL', `GET https://other/api/v1/namespaces/default HTTP/1.1\r\n${last}\r\n`, /^HTTP\/1\.1 200 [^]*"kind":"Namespace"/u],
      [
        'a watch for ever',
        `GET /api/v1/namespaces/default?watch=1&timeoutSeconds=9007199254740991 HTTP/1.1\r\n${last}\r\n`,
        /^HTTP\/1\.1 200 /u,
      ],
      [
        'three at once',
        `${`GET /readyz HTTP/1.1\r\n${host}\r\n`.repeat(2)}GET /api/v1/nope HTTP/1.1\r\n${last}\r\n`,
        /^(HTTP\/1\.1 200 [^]*){2}HTTP\/1\.1 404 /u,
      ],
    ];
    for (const [what, request, answer] of cases) assert.match(await exchange(api, request), answer, what);
  });

  it('leads no path to where it does not say', async () => {
    for (const name of ['..', '%2e%2e', 'a%2fb', '..%2f..%2fmetrics', 'a%25b', '%zz', '%ff']) {
      const answer = await exchange(api, `GET /api/v1/namespaces/${name}/configmaps/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 [^]*"reason":"BadRequest"/u, name);
    }
    for (const path of [
      '/apis/__proto__/constructor/x',
      '//api/v1/namespaces',
      '/api/v1/__proto__',
      '/api/v1/namespaces/default/constructor',
    ]) {
      assert.equal((await send(path)).code, 404, path);
    }
  });

  it('does in the name of another only what the other may, and that for whoever may impersonate', async () => {
    const headers = { 'impersonate-user': 'nobody' };
    const { code, json: status } = await send('/api/v1/namespaces', { headers });
    assert.equal(code, 403);
    assert.match(String(status?.['message']), /User "nobody" cannot list resource "namespaces"/u);
    const anonymous = await rawRequest(`${api.url}/version`, { ca: api.admin.ca }, { headers });
    assert.match(
      String(anonymous.json?.['message']),
      /users "nobody" is forbidden: User "system:anonymous" cannot impersonate resource "users"/u,
    );
  });

  it('refuses bodies that are bombs, quickly', async () => {
    const deep = 1_000_000;
    const laughs = Array.from({ length: 12 }, (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]`).join('\n');
    const object = (more: string): string => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bomb"},${more}}`;
    const keys = (one: (index: number) => string): string => Array.from({ length: 150_000 }, (_, index) => one(index)).join(',');
    const bombs: [what: string, contentType: string, body: string | Buffer, code: number, message: RegExp][] = [
      ['deep JSON', json, '['.repeat(deep) + ']'.repeat(deep), 400, /exceeded max depth/u],
      ['deep objects', json, `${'{"a":'.repeat(deep / 2)}1${'}'.repeat(deep / 2)}`, 400, /exceeded max depth/u],
      ['a million laughs', yaml, `a0: &a0 [x]\n${laughs}`, 400, /alias/u],
      ['deep YAML', yaml, '['.repeat(20_000), 400, /exceeded max depth/u],
      ['a million numbers', json, `[${'1,'.repeat(deep)}1]`, 413, /the limit is 50000 values/u],
      ['150,000 unknown fields', json, object(keys((index) => `"k${index}":1`)), 413, /the limit is 50000 values/u],
      ['150,000 duplicates', json, object(`"data":{${keys(() => '"k":"v"')}}`), 400, /duplicate field "data\.k"/u],
      ['a prototype', json, object('"__proto__":{"a":1},"data":{"constructor":"x"}'), 400, /unknown field "__proto__"/u],
      ['a byte too many', json, Buffer.alloc(3 * mebibyte + 1, ' '), 413, /limit is 3145728/u],
      ['30 MB', json, Buffer.alloc(30_000_000, ' '), 413, /limit is 3145728/u],
      ['UTF-16', json, Buffer.from(object('"data":{}'), 'utf16le'), 400, /invalid character/u],
      ['a number beyond doubles', json, object('"data":{"a":9007199254740993}'), 400, /cannot be kept exactly/u],
    ];
    await api.eventLoopDelayMs();
    for (const [what, contentType, body, code, message] of bombs) {
      const answer = await post(`${configMaps}?fieldValidation=Strict`, contentType, body);
      assert.equal(answer.code, code, `${what}: ${answer.body.toString().slice(0, 300)}`);
      assert.match(String(answer.json?.['message']), message, what);
    }
    const delayMs = await api.eventLoopDelayMs();
    assert.ok(delayMs < 500, `the event loop was late by ${delayMs} ms`);
    assert.deepEqual((await send(configMaps)).json?.['items'], []);
  });

  it('reads a YAML body that takes seconds without holding up others', async () => {
    const bomb = post(configMaps, yaml, Array.from({ length: 200_000 }, (_, index) => `k${index}: 1`).join('\n'));
    const over: string[] = [];
    const others = async (): Promise<void> => {
      for (let count = 0; count < 20; count += 1) assert.equal((await send('/version')).code, 200);
      over.push('others');
    };
    const [{ code, json: status }] = await Promise.all([bomb.finally(() => over.push('bomb')), others()]);
    assert.deepEqual(over, ['others', 'bomb'], 'others had to wait for the bomb');
    assert.ok(code === 400 || code === 413, String(status?.['message']));
  });

  it('keeps half surrogates, NUL and odd keys as JSON can say them, byte for byte', async () => {
    const data = { a: '\u0000\u202e\u{1f37a}', constructor: 'x', toString: 'y' };
    const created = await post(configMaps, json, `{"metadata":{"name":"odd"},"data":{"half":"\\ud800",${JSON.stringify(data).slice(1)}}`);
    assert.equal(created.code, 201);
    const read = await send(`${configMaps}/odd`, { method: 'DELETE', headers: { 'content-length': '0' } });
    assert.equal(read.code, 200);
    assert.deepEqual(created.json?.['data'], { half: '\ufffd', ...data });
  });

  it('bounds patches that grow', async () => {
    assert.equal((await post(configMaps, json, '{"metadata":{"name":"patched"},"data":{"a":"b"}}')).code, 201);
    const patch = async (operations: object[]): Promise<number> => {
      const headers = { 'content-type': 'application/json-patch+json' };
      return (await send(`${configMaps}/patched`, { method: 'PATCH', headers, body: JSON.stringify(operations) })).code;
    };
    const add = (path: string, value: unknown): object => ({ op: 'add', path, value });
    const double = [
      add('/b', []),
      { op: 'copy', from: '/a', path: '/b/0' },
      { op: 'copy', from: '/a', path: '/b/1' },
      { op: 'move', from: '/b', path: '/a' },
    ];
    assert.equal(await patch([add('/a', 'x'.repeat(10)), ...Array.from({ length: 40 }, () => double).flat()]), 422);
    assert.equal(await patch(Array.from({ length: 10_001 }, () => add('/data/a', '1'))), 413);
    assert.equal(await patch([add('/__proto__/polluted', '1')]), 422);
    assert.equal((await send(configMaps, { method: 'DELETE', headers: { 'content-length': '0' } })).code, 200);
  });

  it('outlives clients that go in the middle of a request, or never end one', async () => {
    const head = `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
    const parts = [
      `${head}Content-Length: 1000\r\n\r\n{"meta`,
      `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":`,
      head,
      'GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n',
    ];
    const sockets = await Promise.all(Array.from({ length: 100 }, (_, index) => open(api, parts[index % parts.length] ?? '')));
    for (const socket of sockets) socket.destroy();
    await noWatches(api);
  });

  it('gives up on clients that read nothing, and keeps little for them meanwhile', async () => {
    const manyBytes = JSON.stringify({ a: 'x'.repeat(200_000) });
    for (let index = 0; index < 40; index += 1) {
      assert.equal((await post(configMaps, json, `{"metadata":{"name":"large-${index}"},"data":${manyBytes}}`)).code, 201);
    }
    const before = await api.memoryBytes();
    const deaf: TLSSocket[] = [];
    for (const query of ['', '?watch=1']) {
      for (let count = 0; count < 40; count += 1) {
        deaf.push(await open(api, `GET ${configMaps}${query} HTTP/1.1\r\nHost: x\r\n\r\n`, { deaf: true }));
      }
    }
    for (let index = 0; index < 40; index += 1) {
      const headers = { 'content-type': 'application/merge-patch+json' };
      const body = JSON.stringify({ data: { a: 'y'.repeat(200_000) } });
      assert.equal((await send(`${configMaps}/large-${index}`, { method: 'PATCH', headers, body })).code, 200);
    }
    const grown = (await api.memoryBytes()) - before;
    // Each of the 80 is owed 8 MB or more: copies for each of them would be 640 MB.
    assert.ok(grown < 250 * mebibyte, `the process grew by ${Math.round(grown / mebibyte)} MiB`);
    await noWatches(api);
    for (const socket of deaf) socket.destroy();
    assert.equal((await send(configMaps, { method: 'DELETE', headers: { 'content-length': '0' } })).code, 200);
  });

  it('carries 500 watches of one client, and forgets them when they are gone', async () => {
    const opening = Array.from({ length: 500 }, () => openRequest(`${api.url}${instances}?watch=1`, api.admin));
    const watches = await Promise.all(opening);
    const seen = watches.map((watch) => new Promise<void>((resolve) => watch.once('data', () => resolve()).on('error', () => undefined)));
    const spec = { image: 'debian:12', resources: { requests: { cpu: '1', memory: '1Gi', disk: '1Gi' } } };
    const manifest = { apiVersion: 'potluck.dev/v1alpha1', kind: 'Instance', metadata: { name: 'watched' }, spec };
    assert.equal((await post(instances, json, JSON.stringify(manifest))).code, 201);
    await Promise.all(seen);
    for (const watch of watches) watch.destroy();
    await noWatches(api);
    assert.equal((await send(`${instances}/watched`, { method: 'DELETE', headers: { 'content-length': '0' } })).code, 200);
    const grown = (await api.memoryBytes()) - memoryAtStart;
    assert.ok(grown < 500 * mebibyte, `the process has grown by ${Math.round(grown / mebibyte)} MiB`);
  });
});

/** Sends bytes over a connection of its own; what comes back until the server closes. */
async function exchange(api: ApiServerProcess, request: string): Promise<string> {
  const socket = await open(api, request);
  let answer = '';
  // A server that closes on who still sends resets the connection: as good an end as any.
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  await eventually(() => assert.ok(socket.closed, answer), {
    timeoutMs: 5000,
    what: `the connection to be closed after ${request.slice(0, 60)}`,
  });
  return answer;
}

/** A connection as the admin on which `text` was sent; with `deaf`, nothing is ever read from it. */
function open({ port, admin }: ApiServerProcess, text: string, { deaf = false } = {}): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({ port, host: '127.0.0.1', ...admin }, () => {
    socket.off('error', reject).on('error', () => undefined);
    if (deaf) socket.pause();
    socket.write(text, 'latin1', () => resolve(socket));
  });
  socket.on('error', reject);
  return promise;
}

async function noWatches({ url, admin }: ApiServerProcess): Promise<void> {
  const check = async (): Promise<void> => {
    const { body } = await rawRequest(`${url}/metrics`, admin);
    const open = [...body.toString().matchAll(/^apiserver_longrunning_requests\{.*\} (\d+)$/gmu)].map((match) => Number(match[1]));
    assert.equal(
      open.reduce((sum, count) => sum + count, 0),
      0,
    );
  };
  await eventually(check, { timeoutMs: 25_000, intervalMs: 200, what: 'every watch to be gone' });
}

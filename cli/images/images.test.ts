import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { debianMirror } from './debian-mirror.ts';
import { hasImage, importImage, registryAnswers } from './engine-images.ts';

describe('debianMirror()', () => {
  const oneLine = `# comment\ndeb [arch=amd64 signed-by=/x.gpg] https://mirror.example/debian/ bookworm main contrib\n`;
  const stanzas = `Types: deb\nURIs: https://security.example/debian-security\nSuites: bookworm-security\nComponents: main\n
Types: deb\nURIs: http://mirror2.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n`;

  it('takes the archive that has the suite, in both formats', () => {
    assert.equal(debianMirror([oneLine], 'bookworm', 'http://x'), 'https://mirror.example/debian');
    assert.equal(debianMirror([stanzas], 'bookworm', 'http://x'), 'http://mirror2.example/debian');
  });

  it('passes by other distributions, disabled and commented sources, and sources of sources', () => {
    const others = [
      'deb http://archive.ubuntu.example/ubuntu noble main',
      '# deb http://old.example/debian bookworm main',
      'deb-src http://src.example/debian bookworm main',
      'Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n',
      'Types: deb\nURIs: http://third.example/thing\nSuites: bookworm\nComponents: stable\n',
    ];
    assert.equal(debianMirror(others, 'bookworm', 'http://deb.example/debian'), 'http://deb.example/debian');
  });
});

describe('requests to the engine about images', () => {
  let directory: string;
  let socketPath: string;
  let server: Server;
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  const { signal } = new AbortController();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'images-'));
    socketPath = join(directory, 'engine.sock');
    server = createServer((request, response) => handle(request, response)).listen(socketPath);
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await rm(directory, { recursive: true });
  });

  it('know an image that is there from one that is not, and from a broken engine', async () => {
    let status = 200;
    handle = (_, response) => response.writeHead(status).end('{}');
    assert.equal(await hasImage(socketPath, 'debian:12', { signal }), true);
    status = 404;
    assert.equal(await hasImage(socketPath, 'debian:12', { signal }), false);
    status = 500;
    await assert.rejects(hasImage(socketPath, 'debian:12', { signal }), /500/);
  });

  it('give up on a registry that does not answer in time', async () => {
    handle = () => undefined;
    assert.equal(await registryAnswers(socketPath, 'debian:12', 50, { signal }), false);
    handle = (_, response) => response.writeHead(200).end('{}');
    assert.equal(await registryAnswers(socketPath, 'debian:12', 1000, { signal }), true);
  });

  it('send the whole tar, and fail when the engine reports an error midway', async () => {
    let received = 0;
    let url = '';
    let answer = '{"status":"sha256:1"}\n';
    handle = (request, response) => {
      url = request.url ?? '';
      request.on('data', (chunk: Buffer) => (received += chunk.length));
      request.on('end', () => response.writeHead(200).end(answer));
    };
    const tar = (): Readable => Readable.from([Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)]);
    await importImage(socketPath, tar(), 'debian:12', { signal });
    assert.equal(received, 2 << 20);
    assert.match(url, /fromSrc=-&repo=debian&tag=12/);
    answer = '{"status":"reading"}\n{"error":"no space left on device"}\n';
    await assert.rejects(importImage(socketPath, tar(), 'debian:12', { signal }), /no space left on device/);
  });
});

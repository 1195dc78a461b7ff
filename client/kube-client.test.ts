import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaces } from '../api/resource-type.ts';
import type { Namespace } from '../api/resource-type.ts';
import { ApiError, isAlreadyExists, isConflict, isNotFound } from './client.ts';
import type { WatchEvent } from './client.ts';
import { createClient } from './kube-client.ts';
import type { KubeClient } from './kube-client.ts';
import { sendJson, sendStatus, startScriptedServer } from './scripted-server.ts';
import type { Answer, ScriptedServer } from './scripted-server.ts';

const toto: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'toto' } };

describe('the client', () => {
  let server: ScriptedServer;
  let client: KubeClient;

  beforeEach(async () => {
    server = await startScriptedServer((_request, response) => sendStatus(response, 404, 'NotFound', 'nothing here'));
    client = createClient({ kubeconfig: server.kubeconfig, userAgent: 'potluck-test/1' });
  });

  afterEach(async () => {
    client.close();
    await server.close();
  });

  it('turns Status bodies into ApiErrors that say what they are', async () => {
    await assert.rejects(client.get(namespaces, { name: 'toto' }), (error) => {
      assert.ok(error instanceof ApiError && isNotFound(error));
      assert.deepEqual([error.code, error.reason, error.message], [404, 'NotFound', 'nothing here']);
      return true;
    });
    server.answer = (_request, response) => sendStatus(response, 409, 'Conflict', 'changed');
    await assert.rejects(client.replace(namespaces, toto), isConflict);
    server.answer = (_request, response) => sendStatus(response, 409, 'AlreadyExists', 'there');
    await assert.rejects(client.create(namespaces, toto), isAlreadyExists);
    server.answer = (_request, response) => response.writeHead(502).end('<html>bad gateway</html>');
    await assert.rejects(client.get(namespaces, { name: 'toto' }), { code: 502, reason: '', message: '<html>bad gateway</html>' });
  });

  it('sends who it is, and bodies with their kind of content', async () => {
    const seen: unknown[] = [];
    server.answer = (request, response, body) => {
      const { authorization, 'user-agent': agent, 'content-type': type } = request.headers;
      seen.push([request.method, request.url, authorization, agent, type, body === '' ? undefined : JSON.parse(body)]);
      sendJson(response, 200, toto);
    };
    await client.patch(namespaces, { name: 'toto' }, { a: 1 }, { subresource: 'status' });
    await client.delete(namespaces, { name: 'toto' }, { preconditions: { uid: 'u' } });
    const path = '/api/v1/namespaces/toto';
    const options = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background', preconditions: { uid: 'u' } };
    assert.deepEqual(seen, [
      ['PATCH', `${path}/status`, 'Bearer secret', 'potluck-test/1', 'application/merge-patch+json', { a: 1 }],
      ['DELETE', path, 'Bearer secret', 'potluck-test/1', 'application/json', options],
    ]);
  });

  it('follows continue to the end of a list, and gives items the kind that lists leave out', async () => {
    server.answer = (request, response) => {
      const isSecond = (request.url ?? '').includes('continue=next');
      const metadata = isSecond ? { resourceVersion: '7' } : { resourceVersion: '7', continue: 'next' };
      sendJson(response, 200, { metadata, items: [{ metadata: { name: isSecond ? 'b' : 'a' } }] });
    };
    const { items, resourceVersion } = await client.list(namespaces, { labelSelector: 'x=y', resourceVersion: '0' });
    assert.deepEqual(
      items.map(({ kind, apiVersion, metadata }) => [kind, apiVersion, metadata.name]),
      [
        ['Namespace', 'v1', 'a'],
        ['Namespace', 'v1', 'b'],
      ],
    );
    assert.equal(resourceVersion, '7');
    assert.deepEqual(server.requests, [
      'GET /api/v1/namespaces?labelSelector=x%3Dy&limit=500&resourceVersion=0',
      'GET /api/v1/namespaces?labelSelector=x%3Dy&limit=500&continue=next',
    ]);
  });

  it('lists in one page when the pages took too long', async () => {
    server.answer = (request, response) => {
      const url = request.url ?? '';
      if (url.includes('continue=')) sendStatus(response, 410, 'Expired', 'too old');
      else if (url.includes('limit=')) sendJson(response, 200, { metadata: { continue: 'next' }, items: [toto] });
      else sendJson(response, 200, { metadata: { resourceVersion: '9' }, items: [toto, toto] });
    };
    assert.equal((await client.list(namespaces)).items.length, 2);
  });

  it('gives up after its timeout, saying on what, and at once when its signal aborts', async () => {
    server.answer = () => undefined;
    await assert.rejects(client.get(namespaces, { name: 'toto' }, { timeoutMs: 50 }), {
      name: 'TimeoutError',
      message: 'GET /api/v1/namespaces/toto had no answer after 0.05 s',
    });
    const abort = new AbortController();
    const pending = client.get(namespaces, { name: 'toto' }, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(pending, /enough/);
  });

  it('gives up on a body that stops in the middle', async () => {
    server.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"kind":');
    };
    await assert.rejects(client.get(namespaces, { name: 'toto' }, { timeoutMs: 50 }), { name: 'TimeoutError' });
  });

  it('repeats a GET whose kept connection was closed, but nothing that writes', async () => {
    server.answer = (_request, response) => sendJson(response, 200, toto);
    await client.get(namespaces, { name: 'toto' });
    const cutOnce: Answer = (request) => {
      server.answer = (_request, response) => sendJson(response, 200, toto);
      request.socket.resetAndDestroy();
    };
    server.answer = cutOnce;
    await client.get(namespaces, { name: 'toto' });
    server.answer = cutOnce;
    await assert.rejects(client.replace(namespaces, toto), { code: 'ECONNRESET' });
  });

  describe('watch()', () => {
    const watch = async (lines: string | ((write: (text: string) => void, end: () => void) => void)): Promise<WatchEvent<Namespace>[]> => {
      const events: WatchEvent<Namespace>[] = [];
      server.answer = (request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        if (typeof lines === 'string') response.end(lines);
        else
          lines(
            (text) => response.write(text),
            () => request.socket.destroy(),
          );
      };
      await client.watch(namespaces, { resourceVersion: '5', timeoutSeconds: 300, onEvent: (event) => events.push(event) });
      return events;
    };

    it('answers events, bookmarks and errors until the server ends it', async () => {
      const events = await watch(
        `${JSON.stringify({ type: 'ADDED', object: toto })}\n` +
          `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '8' } } })}\n` +
          `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`,
      );
      assert.deepEqual(events, [
        { type: 'ADDED', object: toto },
        { type: 'BOOKMARK', resourceVersion: '8' },
        { type: 'ERROR', status: { kind: 'Status', code: 410 } },
      ]);
      assert.deepEqual(server.requests, [
        'GET /api/v1/namespaces?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300',
      ]);
    });

    it('rejects on garbage, on an unknown event, on a line that is cut and on a line that never ends', async () => {
      await assert.rejects(watch('not json\n'), SyntaxError);
      await assert.rejects(watch('{"type":"SURPRISE","object":{}}\n'), /unknown type: SURPRISE/);
      await assert.rejects(watch('{"type":"ADDED","object":{}}\n'), /has no name/);
      await assert.rejects(watch('{"type":"ADDED","obj'), /ended in the middle of a line/);
      await assert.rejects(watch('x'.repeat(8 * 1024 * 1024 + 1)), /longer than 8388608 bytes/);
      await assert.rejects(watch((write, end) => void (write('{"type":'), setImmediate(end))));
    });
  });

  it('reads the kubeconfig again when it changed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'client-test-'));
    const file = join(folder, 'kubeconfig');
    const config = (token: string): string =>
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: server.kubeconfig.clusters[0]!.server } }],
        users: [{ name: 'u', user: { token } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      });
    const own = createClient({ kubeconfig: file, userAgent: 'potluck-test/1' });
    try {
      await assert.rejects(own.get(namespaces, { name: 'toto' }), { name: 'UserError', code: 'PLK009' });
      const tokens: (string | undefined)[] = [];
      server.answer = (request, response) => {
        tokens.push(request.headers.authorization);
        sendJson(response, 200, toto);
      };
      await writeFile(file, config('old'));
      await own.get(namespaces, { name: 'toto' });
      await writeFile(file, config('renewed'));
      const deadline = performance.now() + 10_000;
      while (tokens.at(-1) !== 'Bearer renewed' && performance.now() < deadline) {
        await own.get(namespaces, { name: 'toto' });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.deepEqual([tokens[0], tokens.at(-1)], ['Bearer old', 'Bearer renewed']);
      await writeFile(file, 'clusters: [');
      await own.get(namespaces, { name: 'toto' });
    } finally {
      own.close();
      await rm(folder, { recursive: true });
    }
  });

  it('reads YAML as kubectl writes it, and says of a damaged file which one it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'client-test-'));
    const file = join(folder, 'kubeconfig');
    try {
      server.answer = (_request, response) => sendJson(response, 200, toto);
      await writeFile(
        file,
        `apiVersion: v1
kind: Config
current-context: x
clusters: [{name: c, cluster: {server: "${server.kubeconfig.clusters[0]!.server}"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
`,
      );
      const own = createClient({ kubeconfig: file, userAgent: 'potluck-test/1' });
      assert.deepEqual(await own.get(namespaces, { name: 'toto' }), toto);
      own.close();
      await writeFile(file, '{');
      const damaged = createClient({ kubeconfig: file, userAgent: 'potluck-test/1' });
      await assert.rejects(damaged.get(namespaces, { name: 'toto' }), (error: Error) =>
        error.message.includes(`kubeconfig ${file} is damaged`),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

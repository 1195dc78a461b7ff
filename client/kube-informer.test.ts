import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { namespaces } from '../api/resource-type.ts';
import type { Namespace } from '../api/resource-type.ts';
import type { Informer } from './informer.ts';
import { createClient } from './kube-client.ts';
import type { KubeClient } from './kube-client.ts';
import { createInformer } from './kube-informer.ts';
import type { InformerOptions } from './kube-informer.ts';
import { sendJson, sendStatus, startScriptedServer } from './scripted-server.ts';
import type { ScriptedServer } from './scripted-server.ts';

function space(name: string, version: number, uid = `uid-${name}`): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, uid, resourceVersion: String(version) } };
}

const event = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;
const bookmark = (version: number): string => event('BOOKMARK', { metadata: { resourceVersion: String(version) } });

type Handler = (request: IncomingMessage, response: ServerResponse, resourceVersion: string | undefined) => void;

describe('the informer', () => {
  let server: ScriptedServer;
  let client: KubeClient;
  let informer: Informer<Namespace>;
  let lists: Handler[];
  let watches: Handler[];
  let changes: string[];
  let warnings: string[];
  /** What was asked for, in order: `list 0`, `watch 5`. */
  let asked: string[];

  /** Answers each list and watch by the next handler; the last one goes on. */
  beforeEach(async () => {
    lists = [];
    watches = [];
    changes = [];
    warnings = [];
    asked = [];
    server = await startScriptedServer((request, response) => {
      const query = new URL(request.url ?? '', 'http://x').searchParams;
      const isWatch = query.get('watch') === 'true';
      const version = query.get('resourceVersion') ?? undefined;
      asked.push(`${isWatch ? 'watch' : 'list'} ${version ?? 'newest'}`);
      const handlers = isWatch ? watches : lists;
      const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
      handler?.(request, response, version);
    });
    client = createClient({ kubeconfig: server.kubeconfig, userAgent: 'potluck-test/1' });
  });

  afterEach(async () => {
    await informer.stop();
    client.close();
    await server.close();
  });

  function start(options: Partial<InformerOptions<Namespace>> = {}): void {
    const logger = {
      debug: () => undefined,
      warn: (message: string) => warnings.push(message),
      error: (message: string) => warnings.push(message),
    };
    informer = createInformer(client, namespaces, { logger, backoff: { baseMs: 1, capMs: 20 }, ...options });
    informer.onChange((key, object, previous) => {
      changes.push(`${key} ${previous?.metadata.resourceVersion ?? '-'}>${object?.metadata.resourceVersion ?? '-'}`);
    });
    informer.start();
  }

  const list =
    (version: number, ...items: Namespace[]): Handler =>
    (_request, response) =>
      sendJson(response, 200, { metadata: { resourceVersion: String(version) }, items });
  const stream =
    (...lines: string[]): Handler =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      for (const line of lines) response.write(line);
    };
  const reached = (version: number): Promise<void> => informer.whenReached(String(version), 10_000);

  it('lists, then watches from there, and tells of changes in order', async () => {
    lists = [list(5, space('a', 3))];
    watches = [stream(event('ADDED', space('b', 6)), event('MODIFIED', space('a', 7)), event('DELETED', space('b', 8)), bookmark(9))];
    start();
    await informer.whenSynced();
    await reached(9);
    assert.deepEqual(changes, ['a ->3', 'b ->6', 'a 3>7', 'b 6>-']);
    assert.deepEqual(asked, ['list 0', 'watch 5']);
    assert.deepEqual(
      informer.list().map(({ metadata }) => metadata.name),
      ['a'],
    );
    assert.equal(informer.get('a')?.metadata.resourceVersion, '7');
  });

  it('gives a handler that comes late what is there already', async () => {
    lists = [list(5, space('a', 3))];
    watches = [stream()];
    start();
    await informer.whenSynced();
    const late: string[] = [];
    const unsubscribe = informer.onChange((key) => late.push(key));
    unsubscribe();
    assert.deepEqual(late, ['a']);
  });

  for (const [how, refuse] of [
    ['as an HTTP status', (_request: IncomingMessage, response: ServerResponse) => sendStatus(response, 410, 'Expired', 'too old')],
    ['as an ERROR event', stream(event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }))],
  ] as const) {
    it(`lists anew when its version is forgotten (410 ${how}), and tells what changed and what was deleted meanwhile`, async () => {
      lists = [list(5, space('a', 3), space('b', 4), space('c', 5)), list(20, space('a', 3), space('b', 15), space('d', 16))];
      watches = [refuse, stream()];
      start();
      await reached(20);
      assert.deepEqual(changes.slice(3), ['c 5>-', 'b 4>15', 'd ->16']);
      assert.deepEqual(asked.slice(0, 3), ['list 0', 'watch 5', 'list newest']);
    });
  }

  it('lists the newest state when its version is newer than the server’s (its storage was set back)', async () => {
    lists = [list(50, space('a', 40)), list(7, space('a', 6))];
    watches = [
      (_request, response) => sendStatus(response, 504, 'Timeout', 'Too large resource version'),
      stream(event('MODIFIED', space('a', 8))),
    ];
    start();
    await informer.whenSynced();
    await eventually(() => informer.get('a')?.metadata.resourceVersion === '8');
    assert.deepEqual(asked, ['list 0', 'watch 50', 'list newest', 'watch 7']);
  });

  it('goes on from its last version after a line that was cut, garbage, and a reset connection', async () => {
    lists = [list(5)];
    watches = [
      (request, response, version) => {
        stream(event('ADDED', space('a', 6)), '{"type":"ADD')(request, response, version);
        setImmediate(() => request.socket.resetAndDestroy());
      },
      (request, response, version) => {
        stream(bookmark(7), 'what is this?\n')(request, response, version);
      },
      (_request, response) => response.writeHead(200).end('{"type":"ADDED"'),
      stream(event('ADDED', space('b', 8))),
    ];
    start();
    await reached(8);
    assert.deepEqual(changes, ['a ->6', 'b ->8']);
    assert.deepEqual(asked.slice(-3), ['watch 6', 'watch 7', 'watch 7']);
  });

  it('lists when a watch from one version fails again and again', async () => {
    lists = [list(5), list(9, space('a', 9))];
    const poison: Handler = (_request, response) => response.writeHead(200).end('poison\n');
    watches = [poison, poison, poison, stream()];
    start();
    await reached(9);
    assert.deepEqual(asked.slice(0, 5), ['list 0', 'watch 5', 'watch 5', 'watch 5', 'list 5']);
  });

  it('opens a silent watch anew', async () => {
    lists = [list(5)];
    watches = [stream(bookmark(6)), stream(event('ADDED', space('a', 7)))];
    start({ idleTimeoutMs: 100 });
    await reached(7);
    assert.deepEqual(asked, ['list 0', 'watch 5', 'watch 6']);
  });

  it('does not take a watch with bookmarks for silent', async () => {
    lists = [list(5)];
    watches = [
      (request, response, version) => {
        stream()(request, response, version);
        let at = 6;
        const timer = setInterval(() => response.write(bookmark(at++)), 30);
        response.on('close', () => clearInterval(timer));
      },
    ];
    start({ idleTimeoutMs: 200 });
    await reached(20);
    assert.deepEqual(asked, ['list 0', 'watch 5']);
  });

  it('waits before it asks again where the server ends watches at once, and is not lost', async () => {
    lists = [list(5)];
    const end: Handler = (_request, response) => response.writeHead(200).end();
    watches = [end, end, stream(event('ADDED', space('a', 6)))];
    start();
    await reached(6);
    assert.deepEqual(warnings, ['informer lost contact and tries again']);
  });

  it('outlives a server that is away, and tells then what was deleted meanwhile', async () => {
    lists = [list(5, space('a', 3), space('b', 4))];
    watches = [stream()];
    start();
    await informer.whenSynced();
    await server.goAway();
    await eventually(() => warnings.length > 0);
    lists = [list(9, space('a', 3))];
    watches = [(_request, response) => sendStatus(response, 410, 'Expired', 'too old'), stream()];
    await server.comeBack();
    await reached(9);
    assert.deepEqual(changes.slice(2), ['b 4>-']);
  });

  it('outlives answers of 403, 429, 500 and nonsense to its lists', async () => {
    lists = [
      (_request, response) => sendStatus(response, 403, 'Forbidden', 'not yet'),
      (_request, response) => sendStatus(response, 429, 'TooManyRequests', 'slowly'),
      (_request, response) => response.writeHead(500).end(),
      (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"items": [{}]}'),
      list(5, space('a', 3)),
    ];
    watches = [stream()];
    start();
    await informer.whenSynced();
    assert.deepEqual(changes, ['a ->3']);
  });

  it('goes on when a handler throws, with the other handlers and the next changes', async () => {
    lists = [list(5, space('a', 3))];
    watches = [stream(event('MODIFIED', space('a', 6)))];
    const seen: string[] = [];
    informer = createInformer(client, namespaces, {
      logger: { debug: () => undefined, warn: () => undefined, error: (m) => warnings.push(m) },
    });
    informer.onChange(() => {
      throw new Error('a bug');
    });
    informer.onChange((_key, object) => seen.push(object?.metadata.resourceVersion ?? '-'));
    informer.start();
    await reached(6);
    assert.deepEqual(seen, ['3', '6']);
    assert.deepEqual(warnings, ['a change handler failed', 'a change handler failed']);
  });

  it('finds objects by its indexes', async () => {
    lists = [list(5, space('a', 3), space('b', 4))];
    watches = [stream(event('MODIFIED', { ...space('b', 6), status: { phase: 'Terminating' } }))];
    start({ indexes: { phase: ({ status }) => [status?.phase ?? 'none'] } });
    await reached(6);
    assert.deepEqual(
      informer.byIndex('phase', 'Terminating').map(({ metadata }) => metadata.name),
      ['b'],
    );
    assert.equal(informer.byIndex('phase', 'none').length, 1);
  });

  it('stop() ends its requests and rejects who still waits', async () => {
    lists = [() => undefined];
    start();
    const synced = assert.rejects(informer.whenSynced(), /was stopped/);
    const late = assert.rejects(informer.whenReached('9', 10_000), /was stopped/);
    await informer.stop();
    await synced;
    await late;
    await assert.rejects(informer.whenSynced(), /was stopped/);
  });

  it('whenReached() rejects after its time', async () => {
    lists = [list(5)];
    watches = [stream()];
    start();
    await informer.whenSynced();
    await assert.rejects(informer.whenReached('6', 20), /did not reach version 6 in 20 ms/);
    await informer.whenReached('5', 20);
  });
});

async function eventually(holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !holds();) {
    assert.ok(performance.now() < deadline, 'gave up waiting');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

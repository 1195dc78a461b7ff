/** Streams to instances against those who should not have them, who do not read them, and who open many. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import Docker from 'dockerode';
import { createClient, type KubeClient } from '../../client/kube-client.ts';
import type { Logger } from '../../runtime/logger.ts';
import { WebSocketConnection, connectionProtocol } from '../../runtime/web-socket-connection.ts';
import { WebSocketStream } from '../../runtime/web-socket.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import { eventually } from '../support/eventually.ts';
import { VerbsWorld } from '../support/verbs-world.ts';

const pods = '/api/v1/namespaces/default/pods';
const serve = 'busybox --install -s /bin; nc -ll -p 7 -e cat & echo started; sleep 100000';
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings';
const auditPolicy = 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n';

type Line = Readonly<Record<string, unknown>>;

function recordingLogger(lines: { message: string; fields: Line }[]): Logger {
  const write = (message: string, fields: Line = {}): void => void lines.push({ message, fields });
  return { debug: write, info: write, warn: write, error: write, child: () => recordingLogger(lines) };
}

describe('streams to instances', function () {
  this.timeout(180_000);
  let world: VerbsWorld;
  let admin: KubeClient;
  let folder: string;
  let auditLog: string;
  const lines: { message: string; fields: Line }[] = [];
  const children = new Set<ChildProcessWithoutNullStreams>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-hardness-'));
    const policyFile = join(folder, 'policy.yaml');
    auditLog = join(folder, 'audit.log');
    await writeFile(policyFile, auditPolicy);
    const audit = { policyFile, logPath: auditLog, maxBytes: 100_000_000, maxBackups: 1 };
    world = await VerbsWorld.start({ audit, logger: recordingLogger(lines) });
    admin = createClient({ kubeconfig: world.api.kubeconfigPath, userAgent: 'test' });
    const requests = { cpu: '250m', memory: '32Mi', disk: '64Mi' };
    await world.run('web', serve, { resources: { requests, limits: { cpu: '1', memory: '256Mi', pids: '512' } } });
  });
  afterEach(async () => {
    for (const child of children) await VerbsWorld.end(child);
    children.clear();
  });
  after(async () => {
    admin.close();
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A ServiceAccount that may do what editors may, and a token of it that is bound to a Secret. */
  async function makeUser(name: string): Promise<string> {
    const metadata = { name, namespace: 'default' };
    await admin.request('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata });
    const secret = (await admin.request('POST', '/api/v1/namespaces/default/secrets', { metadata })) as { metadata: { uid: string } };
    await admin.request('POST', rbac, {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    });
    const boundObjectRef = { kind: 'Secret', apiVersion: 'v1', name, uid: secret.metadata.uid };
    const answer = (await admin.request('POST', `/api/v1/namespaces/default/serviceaccounts/${name}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef, expirationSeconds: 3600 },
    })) as { status: { token: string } };
    return answer.status.token;
  }

  async function asUser(token: string): Promise<string> {
    const { cluster } = currentEntries(await loadKubeconfig(world.api.kubeconfigPath));
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'u',
      clusters: [{ name: 'u', cluster: { server: cluster.server, 'certificate-authority-data': cluster.caData } }],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'u', context: { cluster: 'u', user: 'u' } }],
    };
    const file = join(folder, `${token.slice(-12)}.kubeconfig`);
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  async function programs(): Promise<string[]> {
    const { containerID = '' } = (await world.agent.get('web')).status ?? {};
    const container = new Docker({ socketPath: world.dockerd.socketPath }).getContainer(containerID.replace('docker://', ''));
    const top = (await container.top({ ps_args: '-eo pid,args' })) as { Processes: string[][] };
    return top.Processes.map((columns) => columns.slice(1).join(' '));
  }

  const ways: readonly (readonly [string, (name: string) => Promise<unknown>])[] = [
    ['their binding', (name) => admin.request('DELETE', `${rbac}/${name}`)],
    ['their token', (name) => admin.request('DELETE', `/api/v1/namespaces/default/secrets/${name}`)],
    ['them', (name) => admin.request('DELETE', `/api/v1/namespaces/default/serviceaccounts/${name}`)],
  ];
  for (const [index, [what, take]] of ways.entries()) {
    it(`end within 2 s when who has them loses ${what}, and take along what they started`, async () => {
      const name = `user-${index}`;
      const kubeconfig = await asUser(await makeUser(name));
      const marker = `7${index}${String(Date.now()).slice(-6)}`;
      const script = `(setsid sleep ${marker} </dev/null >/dev/null 2>&1 &) ; echo ready; sleep ${marker}`;
      const start = (...args: string[]): ChildProcessWithoutNullStreams => {
        const child = world.spawn('kubectl', ['--kubeconfig', kubeconfig, ...args]);
        children.add(child);
        return child;
      };
      const exec = start('exec', 'web', '--', 'sh', '-c', script);
      const logs = start('logs', '-f', 'web');
      await Promise.all([once(exec.stdout, 'data'), once(logs.stdout, 'data')]);
      assert.equal((await programs()).filter((args) => args === `sleep ${marker}`).length, 2);
      const ended = Promise.all([once(exec, 'exit'), once(logs, 'exit')]);
      await take(name);
      const takenAt = performance.now();
      await ended;
      await eventually(async () => assert.ok(!(await programs()).includes(`sleep ${marker}`)), {
        timeoutMs: 2_000,
        what: 'all to be gone',
      });
      assert.ok(performance.now() - takenAt < 2_000, `${performance.now() - takenAt} ms`);
    });
  }

  it('need the right to create, also by a GET', async () => {
    const token = await makeUser('reader');
    await admin.request('DELETE', `${rbac}/reader`);
    const metadata = { name: 'reader', namespace: 'default' };
    await admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles', {
      metadata,
      rules: [{ apiGroups: [''], resources: ['pods', 'pods/exec', 'pods/log'], verbs: ['get', 'list', 'watch'] }],
    });
    await admin.request('POST', rbac, {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    });
    const client = createClient({ kubeconfig: await asUser(token), userAgent: 'test' });
    try {
      const path = `${pods}/web/exec?command=true&stdout=true`;
      await assert.rejects(client.upgrade(path, ['v5.channel.k8s.io'], AbortSignal.timeout(10_000)), {
        code: 403,
        message: /cannot create resource "pods\/exec"/,
      });
      assert.match(String(await client.request('GET', `${pods}/web/log`)), /started/);
    } finally {
      client.close();
    }
  });

  /** Straight to the gateway. */
  async function toGateway(identity: { cert?: string; key?: string }): Promise<{ code: number | undefined; body: string }> {
    const ca = await readFile(join(world.api.home, 'pki/ca.crt'));
    const headers = { 'x-remote-user': 'potluck-admin', 'x-remote-group': 'system:masters' };
    const { promise, resolve, reject } = Promise.withResolvers<{ code: number | undefined; body: string }>();
    const { port } = world.gateway;
    request({ host: '127.0.0.1', port, path: '/backend/v1/pods/default/web/log', ca, ...identity, headers, agent: false })
      .on('response', (answer) => void buffer(answer).then((body) => resolve({ code: answer.statusCode, body: body.toString() })))
      .on('error', reject)
      .end();
    return promise;
  }

  it('are not given to who says at the gateway to be somebody', async () => {
    const user = async (file: string): Promise<{ cert: string; key: string }> => {
      const { user: entry } = currentEntries(await loadKubeconfig(file));
      const decode = (data = ''): string => Buffer.from(data, 'base64').toString();
      return { cert: decode(entry?.certData), key: decode(entry?.keyData) };
    };
    for (const identity of [
      await user(world.api.kubeconfigPath),
      await user(join(world.api.home, 'pki/gateway.kubeconfig')),
      await user(join(world.agent.home, 'kubeconfig')),
    ]) {
      const { code, body } = await toGateway(identity);
      assert.ok(code === 403 || code === 404, `${code} ${body}`);
      assert.doesNotMatch(body, /started/);
    }
    const nobody = await toGateway({}).catch(() => ({ code: 0, body: '' }));
    assert.doesNotMatch(nobody.body, /started/);
    const [cert, key] = await Promise.all(
      ['crt', 'key'].map((end) => readFile(join(world.api.home, `pki/apiserver-backend.${end}`), 'utf8')),
    );
    assert.match((await toGateway({ cert: cert!, key: key! })).body, /started/);
  });

  it('are the ones of who asks, whatever their headers say', async () => {
    const client = createClient({ kubeconfig: await asUser(await makeUser('forger')), userAgent: 'test' });
    const { cluster, user } = currentEntries(await loadKubeconfig(await asUser(await makeUser('forger-2'))));
    lines.length = 0;
    const headers = {
      authorization: `Bearer ${user?.token ?? ''}`,
      'x-remote-user': 'potluck-admin',
      'X-Remote-Group': 'system:masters',
      'audit-id': 'forged',
    };
    const ca = Buffer.from(cluster.caData ?? '', 'base64');
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    request(`${cluster.server}${pods}/web/log`, { ca, headers, agent: false })
      .on('response', (answer) => void buffer(answer).then((body) => resolve(body.toString())))
      .on('error', reject)
      .end();
    assert.match(await promise, /started/);
    const opened = lines.find(({ message }) => message === 'a session was opened');
    assert.equal(opened?.fields['user'], 'system:serviceaccount:default:forger-2');
    assert.notEqual(opened.fields['audit'], 'forged');
    client.close();
  });

  it('are told of: who, what, when, and never what was done', async () => {
    const { code } = await world.kubectl('kubectl', ['exec', 'web', '--', 'echo', 'my-secret-word']);
    assert.equal(code, 0);
    const entries = (await readFile(auditLog, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"subresource":"exec"') && line.includes('potluck-admin'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const stages = entries.slice(-2).map(({ stage, verb, responseStatus }) => [stage, verb, (responseStatus as { code: number }).code]);
    assert.deepEqual(stages, [
      ['ResponseStarted', 'get', 101],
      ['ResponseComplete', 'get', 101],
    ]);
    assert.equal(entries[0]!['auditID'] === undefined, false);
    const closed = await eventually(
      () => {
        const found = lines.findLast(({ message }) => message === 'a session was closed');
        assert.equal(found?.fields['kind'], 'exec');
        return found.fields;
      },
      { timeoutMs: 5_000, what: 'the session to be closed' },
    );
    assert.deepEqual([closed['user'], closed['instance'], closed['outcome']], ['potluck-admin', 'web', 'Success']);
    await eventually(
      async () => {
        const { stdout } = await world.kubectl('kubectl', ['get', 'events', '-o', 'wide']);
        assert.match(stdout, /SessionOpened.*exec by potluck-admin/);
        assert.match(stdout, /SessionClosed.*exec by potluck-admin, from \S+ to \S+/);
        assert.doesNotMatch(stdout, /my-secret-word/);
      },
      { timeoutMs: 10_000, what: 'the events' },
    );
    assert.doesNotMatch((await readFile(auditLog, 'utf8')) + JSON.stringify(lines), /my-secret-word/);
  });

  async function openExec(command: readonly string[]): Promise<WebSocketStream> {
    const query = new URLSearchParams({ stdout: 'true', stdin: 'true' });
    for (const word of command) query.append('command', word);
    const { socket, head } = await admin.upgrade(
      `${pods}/web/exec?${query.toString()}`,
      ['v5.channel.k8s.io'],
      AbortSignal.timeout(20_000),
    );
    const stream = new WebSocketStream(socket, head, { side: 'client', maxMessageBytes: 1024 * 1024 });
    stream.on('error', () => undefined);
    return stream;
  }

  async function ended(stream: WebSocketStream): Promise<Buffer[]> {
    const messages: Buffer[] = [];
    for await (const message of stream as AsyncIterable<Buffer>) messages.push(message);
    return messages;
  }

  it('of who stops reading hold no memory and hold up nobody', async () => {
    const echo = async (): Promise<number> => {
      const startedAt = performance.now();
      assert.equal((await ended(await openExec(['echo', 'hi'])))[0]?.toString(), '\u0001hi\n');
      return performance.now() - startedAt;
    };
    // What the first of them take is not theirs alone.
    for (let round = 0; round < 10; round += 1) await echo();
    const before = process.memoryUsage();
    const stalled = await Promise.all(Array.from({ length: 4 }, () => openExec(['cat', '/dev/zero'])));
    // It begins to flow with the first read; now nobody reads.
    for (const stream of stalled) stream.pause();
    let slowestMs = 0;
    for (let round = 0; round < 20; round += 1) {
      slowestMs = Math.max(slowestMs, await echo());
      await delay(100);
    }
    // Client, API server, gateway and agent are all in this process; what waits is in buffers, and what the rounds leave for the collector is not.
    const now = process.memoryUsage();
    const grown = (now.external - before.external) / 1024 ** 2;
    const grownInAll = (now.rss - before.rss) / 1024 ** 2;
    for (const stream of stalled) stream.destroy();
    assert.ok(grown < 50 && grownInAll < 150, `${grown} MiB of buffers, ${grownInAll} MiB in all`);
    assert.ok(slowestMs < 3_000, `${slowestMs} ms`);
    await eventually(async () => assert.ok(!(await programs()).includes('cat /dev/zero')), { timeoutMs: 5_000, what: 'all to be ended' });
  });

  async function sessionGroups(): Promise<string[]> {
    const { containerID = '' } = (await world.agent.get('web')).status ?? {};
    const found: string[] = [];
    for (const root of ['/sys/fs/cgroup/freezer', '/sys/fs/cgroup/pids', '/sys/fs/cgroup']) {
      const names = await readdir(root, { recursive: true }).catch(() => []);
      found.push(
        ...names.filter((name) => name.includes(containerID.replace('docker://', '')) && /potluck-session-[0-9a-f]+$/u.test(name)),
      );
    }
    return found;
  }

  it('leave nothing, a thousand times', async () => {
    const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const kinds = [
      async () => {
        const messages = await ended(await openExec(['true']));
        assert.match(messages.at(-1)?.toString() ?? '', /Success/);
      },
      async () => {
        const log = await admin.stream(`${pods}/web/log`, AbortSignal.timeout(20_000));
        assert.match((await buffer(log)).toString(), /started/);
      },
      async () => {
        const path = `${pods}/web/attach?stdout=true`;
        const { socket, head } = await admin.upgrade(path, ['v5.channel.k8s.io'], AbortSignal.timeout(20_000));
        const stream = new WebSocketStream(socket, head, { side: 'client', maxMessageBytes: 1024 * 1024 });
        stream.on('error', () => undefined).destroy();
        await once(stream, 'close');
      },
      async () => {
        const { socket, head } = await admin.upgrade(`${pods}/web/portforward?ports=7`, [connectionProtocol], AbortSignal.timeout(20_000));
        const connection = new WebSocketConnection(socket, head, 'client');
        connection.end('hello');
        assert.equal((await buffer(connection)).toString(), 'hello');
      },
    ];
    const before = await openFiles();
    let left = 1000;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await kinds[left % kinds.length]!();
      }
    };
    // Busybox takes two connections at a time.
    await Promise.all([worker(), worker()]);
    await eventually(
      async () => {
        assert.deepEqual(await sessionGroups(), []);
        const { containerID = '' } = (await world.agent.get('web')).status ?? {};
        const container = new Docker({ socketPath: world.dockerd.socketPath }).getContainer(containerID.replace('docker://', ''));
        assert.deepEqual((await container.inspect()).ExecIDs ?? [], []);
        const now = await openFiles();
        assert.ok(now < before + 20, `${now} open files after ${before}`);
      },
      { timeoutMs: 20_000, what: 'nothing to be left' },
    );
  });
});

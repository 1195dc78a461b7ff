/** Instances reached through gateways: a real API server, real gateways, an agent with a real dockerd, and ports of real containers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, performServerHandshake } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import Docker from 'dockerode';
import { openPki } from '../../apiserver/access/pki.ts';
import type { Pki } from '../../apiserver/access/pki.ts';
import { providersGroup, providerUser } from '../../api/names.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { TunnelError } from '../../gateway/hub.ts';
import type { Hub } from '../../gateway/hub.ts';
import { readOwnIdentity } from '../../gateway/own-identity.ts';
import { dialGateway } from '../../node-agent/tunnel/dial-gateway.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import type { TunnelIdentity } from '../../node-agent/tunnel/dial-gateway.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { BoundAgent } from '../support/bound-agent.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, testImage } from '../support/image.ts';
import { startPortServices } from '../support/port-services.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { TestGateway } from '../support/test-gateway.ts';

describe('the tunnel', function () {
  this.timeout(90_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let agent: BoundAgent;
  let pki: Pki;
  const gateways: TestGateway[] = [];
  const [first, second] = [(): TestGateway => gateways[0]!, (): TestGateway => gateways[1]!];

  before(async () => {
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
    await importTestImage(dockerd.socketPath);
    pki = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1'], now: Date.now });
    gateways.push(await startTestGateway(api, 'one'), await startTestGateway(api, 'two'));
    agent = await BoundAgent.start(api, 'desktop', { engine: { kind: 'socket', socketPath: dockerd.socketPath } });
    await agent.create('web', { image: testImage, command: ['sleep', '1000'] });
    await agent.bind('web', 1);
    await agent.until('web', ({ phase }) => assert.equal(phase, 'Running'));
    await connected();
    await servePorts('web');
  });

  after(async () => {
    for (const stop of services) await stop();
    await agent.stop();
    for (const gateway of gateways) await gateway.stop();
    await dockerd.stop();
    await api.stop();
  });

  const services: (() => Promise<void>)[] = [];

  /** In the instance's network, as if the instance did it. */
  async function servePorts(name: string): Promise<void> {
    const { uid = '' } = (await agent.get(name)).metadata;
    const { State } = await new Docker({ socketPath: dockerd.socketPath }).getContainer(containerName(uid)).inspect();
    services.push(await startPortServices(`/proc/${State.Pid}/ns/net`));
  }

  async function connected(): Promise<{ gateway: string; session: number }> {
    return eventually(
      async () => {
        const { status } = await agent.admin.get(providers, { name: 'desktop' });
        assert.ok(status?.tunnel?.connectedAt !== undefined, JSON.stringify(status?.tunnel));
        return status.tunnel;
      },
      { timeoutMs: 15_000, what: 'the provider to be connected' },
    );
  }

  function open(hub: Hub, port: number, name = 'web', user = 'toto'): Promise<Duplex> {
    const sessionId = randomBytes(16).toString('hex');
    return hub.open({ instance: { namespace: 'default', name }, kind: 'port', parameters: { port }, user, sessionId });
  }

  /** A tunnel that is closed again when the test's provider is gone. */
  async function dial(address: string, identity: TunnelIdentity): Promise<void> {
    const { signal } = new AbortController();
    const { socket } = await dialGateway({ address, identity, connectTimeoutMs: 3_000, answerTimeoutMs: 5_000, signal });
    socket.on('error', () => undefined);
    performServerHandshake(socket).on('error', () => undefined);
  }

  async function plainTls(address: string): Promise<void> {
    const socket = connectTls({ host: '127.0.0.1', port: Number(address.split(':')[1]), ca: pki.caPem });
    try {
      await once(socket, 'secureConnect');
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await once(socket, 'data');
    } finally {
      socket.destroy();
    }
  }

  async function connectAs(kind: 'gateway' | 'jump-host', address: string): Promise<ClientHttp2Session> {
    return connectWith(address, await readOwnIdentity(join(api.home, 'pki', `${kind}.kubeconfig`)));
  }

  async function connectWith(address: string, { certPem, keyPem }: { certPem: string; keyPem: string }): Promise<ClientHttp2Session> {
    const session = connect(`https://${address}`, { ca: pki.caPem, cert: certPem, key: keyPem, maxSendHeaderBlockLength: 1_000_000 });
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    session.on('error', reject);
    session.once('remoteSettings', () => resolve(session));
    session.once('close', () => reject(new Error('it was closed')));
    return promise;
  }

  async function read(stream: Duplex): Promise<string> {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  }

  /** Resolves when it is closed. */
  function failureOf(stream: Duplex): Promise<Error | null> {
    stream.on('error', () => undefined);
    return new Promise((resolve) => stream.once('close', () => resolve(stream.errored)));
  }

  async function noStreams(): Promise<void> {
    const none = (): void => assert.deepEqual([first().facts().openStreams, second().facts().openStreams], [0, 0]);
    await eventually(none, { timeoutMs: 5_000, what: 'no stream to be open' });
  }

  it('leads to a port of the instance, whichever gateway is asked, and ends each way by itself', async () => {
    for (const { hub } of [first(), second()]) {
      const echo = await open(hub, 7);
      echo.write('hello ');
      echo.end('there');
      assert.equal(await read(echo), 'hello there');
      const greeting = await open(hub, 25);
      assert.equal(await read(greeting), 'hello\n');
      // The instance has said all; we may go on.
      greeting.end();
      const sink = await open(hub, 9);
      sink.end(Buffer.alloc(3_000_000));
      assert.equal(await read(sink), 'done\n');
    }
  });

  it('refuses what is not there, in words', async () => {
    await assert.rejects(open(first().hub, 81), (error) => {
      assert.ok(error instanceof TunnelError);
      assert.deepEqual([error.reason, error.message], ['Refused', 'nothing listens on port 81 of web']);
      return true;
    });
    await assert.rejects(open(first().hub, 7, 'nothing'), { reason: 'NotFound', message: 'there is no instance default/nothing' });
  });

  it('carries fifty connections at once, each its own bytes', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const stream = await open(second().hub, 7);
        const sent = `${index} `.repeat(20_000);
        stream.end(sent);
        return (await read(stream)) === sent;
      }),
    );
    assert.deepEqual(new Set(answers), new Set([true]));
  });

  it('refuses a user more than 64 streams, and nobody else', async () => {
    await noStreams();
    const streams: Duplex[] = [];
    try {
      for (let count = 0; count < 64; count += 1) streams.push(await open(first().hub, 30));
      await assert.rejects(open(first().hub, 30), { reason: 'Busy', message: 'toto has 64 streams open, and more are not allowed' });
      const other = await open(first().hub, 7, 'web', 'mona');
      other.end('x');
      assert.equal(await read(other), 'x');
    } finally {
      for (const stream of streams) stream.destroy();
    }
    await noStreams();
    (await open(first().hub, 7)).destroy();
  });

  it('ends streams, and takes no new ones, when the epoch, the power state or the place is another', async () => {
    await agent.create('other', { image: testImage, command: ['sleep', '1000'] });
    await agent.bind('other', 1);
    await agent.until('other', ({ phase }) => assert.equal(phase, 'Running'));
    await servePorts('other');
    const key = { namespace: 'default', name: 'other' };
    const ends = async (change: () => Promise<unknown>): Promise<void> => {
      const stream = await open(first().hub, 30, 'other');
      const failed = failureOf(stream);
      await change();
      const changedMs = performance.now();
      assert.notEqual(await failed, null);
      assert.ok(performance.now() - changedMs < 2_000);
    };
    await ends(() => agent.bind('other', 2));
    await agent.until('other', ({ phase, observedEpoch }) => assert.deepEqual([phase, observedEpoch], ['Running', 2]));
    await eventually(async () => (await open(first().hub, 30, 'other')).destroy(), { timeoutMs: 15_000, what: 'it to be reached again' });
    await ends(() => agent.admin.patch(instances, key, { spec: { powerState: 'Stopped' } }));
    await agent.until('other', ({ phase }) => assert.equal(phase, 'Stopped'));
    await assert.rejects(open(first().hub, 30, 'other'), (error: TunnelError) => {
      assert.equal(error.reason, 'NotRunning');
      assert.match(error.message, /^default\/other does not run: it is Stopped, since 20\d\d-.*: ./);
      return true;
    });
    await assert.rejects(open(first().hub, 30, 'nowhere'), { reason: 'NotFound' });
    await agent.create('nowhere', { image: testImage });
    await eventually(() => assert.rejects(open(first().hub, 30, 'nowhere'), { reason: 'NotAssigned' }), {
      timeoutMs: 5_000,
      what: 'it to be known',
    });
  });

  describe('at the agent', () => {
    /** Asks the session itself, as a gateway that does what it should not. */
    async function ask(headers: Record<string, string>): Promise<{ code: number; message: string }> {
      const { gateway } = await connected();
      const peer = await connectAs('gateway', gateways.find(({ name }) => name === gateway)!.address);
      try {
        const stream = peer.request({ ...(await goodHeaders()), ...headers });
        stream.end();
        const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
        const { message = '' } = JSON.parse(await read(stream)) as { message?: string };
        return { code: Number(answer[':status']), message };
      } finally {
        peer.destroy();
      }
    }

    async function goodHeaders(): Promise<Record<string, string>> {
      const { uid = '' } = (await agent.get('web')).metadata;
      return {
        ':method': 'CONNECT',
        ':authority': uid,
        'x-potluck-epoch': '1',
        'x-potluck-kind': 'port',
        'x-potluck-parameters': Buffer.from('{"port":7}').toString('base64url'),
        'x-potluck-session-id': '0'.repeat(32),
        'x-potluck-user': 'toto',
      };
    }

    it('refuses by a Status what is malformed, oversized, of an unknown kind or of no instance', async () => {
      const said = async (headers: Record<string, string>): Promise<string> => {
        const { code, message } = await ask(headers);
        return `${code} ${message}`;
      };
      assert.equal(await said({ 'x-potluck-kind': 'shell' }), '400 there is no kind of stream "shell"');
      assert.equal(await said({ ':authority': '127.0.0.1:2379' }), '400 :authority must be the uid of an instance');
      assert.equal(await said({ 'x-potluck-epoch': '-1' }), '400 x-potluck-epoch must be a whole number');
      assert.equal(await said({ 'x-potluck-session-id': 'x' }), '400 x-potluck-session-id must be 32 hexadecimal digits');
      assert.equal(await said({ 'x-potluck-parameters': 'WzFd' }), '400 x-potluck-parameters must be a JSON object in base64url');
      assert.equal(await said({ 'x-potluck-user': '%0a' }), '400 x-potluck-user must be there, percent-encoded');
      assert.match(await said({ 'x-potluck-parameters': 'A'.repeat(70_000) }), /^431 the headers are longer than 65536 bytes/);
      const port = (value: unknown): string => Buffer.from(JSON.stringify({ port: value })).toString('base64url');
      for (const wrong of [0, 65_536, '80', null]) {
        assert.equal(await said({ 'x-potluck-parameters': port(wrong) }), '403 port must be a whole number from 1 to 65535');
      }
      const nobody = '00000000-0000-0000-0000-000000000000';
      assert.equal(await said({ ':authority': nobody }), `404 there is no instance ${nobody}`);
    });
  });

  describe('at the gateway', () => {
    const refused = async (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'let in',
        (error: unknown) => String(error),
      );

    it('lets in certificates of its own authority only, while they are good', async () => {
      const tunnelAs = (identity: TunnelIdentity): Promise<string> => refused(dial(first().address, identity));
      const caPem = pki.caPem;
      const subject = { commonName: providerUser(agent.uid), organizations: [providersGroup] };
      const good = await pki.issueClientCertificate({ ...subject, lifetimeMs: 3_600_000 });
      const elsewhere = await mkdtemp(join(tmpdir(), 'pki-'));
      try {
        const other = await openPki({ directory: elsewhere, serverNames: [], now: Date.now });
        const foreign = await other.issueClientCertificate({ ...subject, lifetimeMs: 3_600_000 });
        assert.match(await tunnelAs({ caPem, ...foreign }), /hang up|unknown ca|ECONNRESET|certificate/i);
        // The agent does not believe another pool's gateway either.
        assert.match(await tunnelAs({ ...good, caPem: other.caPem }), /certificate/i);
      } finally {
        await rm(elsewhere, { recursive: true });
      }
      const past = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1'], now: () => Date.now() - 7_200_000 });
      assert.match(
        await tunnelAs({ caPem, ...(await past.issueClientCertificate({ ...subject, lifetimeMs: 60_000 })) }),
        /hang up|expired/i,
      );
      const nobody = { commonName: providerUser('00000000-0000-0000-0000-000000000000'), organizations: [providersGroup] };
      const unknown = await pki.issueClientCertificate({ ...nobody, lifetimeMs: 60_000 });
      assert.match(await tunnelAs({ caPem, ...unknown }), /403 the pool has no such provider/);
      const member = await pki.issueClientCertificate({ commonName: 'toto', organizations: [], lifetimeMs: 60_000 });
      assert.match(await tunnelAs({ caPem, ...member }), /403 only providers open tunnels/);
      // The name without its group is nobody's.
      const half = await pki.issueClientCertificate({ commonName: providerUser(agent.uid), organizations: [], lifetimeMs: 60_000 });
      assert.match(await tunnelAs({ caPem, ...half }), /403 only providers open tunnels/);
      assert.match(await refused(plainTls(first().address)), /certificate required|ECONNRESET|closed/i);
    });

    it('opens streams for other gateways and, of kind ssh, for the jump host', async () => {
      const uid = (await agent.get('web')).metadata.uid ?? '';
      const headers = {
        ':method': 'CONNECT',
        ':authority': uid,
        'x-potluck-epoch': '1',
        'x-potluck-kind': 'port',
        'x-potluck-parameters': 'e30',
        'x-potluck-session-id': '0'.repeat(32),
        'x-potluck-user': 'toto',
      };
      const jumpHost = await connectAs('jump-host', first().address);
      const stream = jumpHost.request(headers);
      stream.end();
      const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
      assert.equal(answer[':status'], 403);
      assert.match(await read(stream), /a stream of kind port is not yours to open/);
      jumpHost.destroy();
      const machine = await pki.issueClientCertificate({
        commonName: providerUser(agent.uid),
        organizations: [providersGroup],
        lifetimeMs: 60_000,
      });
      assert.match(await refused(connectWith(first().address, machine)), /hang up|closed|ECONNRESET|destroyed/i);
    });

    it('lets a provider come only so often', async () => {
      const key = { name: 'eager' };
      const eager = await agent.admin.create(providers, {
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Provider',
        metadata: key,
        spec: { owner: 'tests', offer: { cpu: '1', memory: '1Gi', disk: '1Gi' } },
      });
      const subject = { commonName: providerUser(eager.metadata.uid ?? ''), organizations: [providersGroup] };
      const identity = { caPem: pki.caPem, ...(await pki.issueClientCertificate({ ...subject, lifetimeMs: 60_000 })) };
      await eventually(() => dial(first().address, identity), { timeoutMs: 5_000, what: 'it to be known' });
      const answers = await Promise.all(Array.from({ length: 10 }, () => refused(dial(first().address, identity))));
      assert.ok(
        answers.some((answer) => answer.includes('429 too many connections at once')),
        answers.join('\n'),
      );
      // However many there were, one is left.
      const { status } = await agent.admin.get(providers, key);
      assert.ok((status?.tunnel?.session ?? 0) > 1);
      await eventually(() => assert.equal(first().facts().sessions + second().facts().sessions, 2), {
        timeoutMs: 5_000,
        what: 'one session each',
      });
      await agent.admin.patch(providers, key, { spec: { revoked: true } });
      await eventually(() => assert.equal(first().facts().sessions + second().facts().sessions, 1), {
        timeoutMs: 2_000,
        what: 'the revoked provider to be cut off',
      });
      assert.match(await refused(dial(first().address, identity)), /403 the provider is revoked/);
    });
  });

  describe('at the end', () => {
    it('is cut within two seconds when the provider is deleted, and its streams with it', async () => {
      const stream = await open(second().hub, 30);
      const failed = failureOf(stream);
      await agent.admin.delete(providers, { name: 'desktop' });
      const deletedMs = performance.now();
      assert.match((await failed)?.message ?? '', /./);
      assert.ok(performance.now() - deletedMs < 2_000);
      assert.equal(first().facts().sessions + second().facts().sessions, 0);
    });
  });
});

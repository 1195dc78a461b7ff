/** A machine that can only dial out joins a pool, lends itself, is away for too long, and leaves without a trace. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import type { JoinToken } from '../../api/generated/join-token.ts';
import { instanceUidLabel } from '../../api/names.ts';
import { joinTokens, providers } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import { readAgentKubeconfig, type AgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { startTestDockerd, type TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { makeHostNamespace, type HostNamespace } from '../support/host-namespace.ts';
import { importTestImage, testImage } from '../support/image.ts';
import { JoinedMachine, type MachineProcess } from '../support/joined-machine.ts';
import { fileTree, processesWith, users } from '../support/machine-traces.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool, type TestPool } from '../support/pool.ts';
import { startRelay, type Relay } from '../support/relay.ts';

const poolAddress = '192.168.50.2';
const server = `https://${poolAddress}:6443`;
const certificateLifeMs = 45_000;

describe('a machine that can only dial out', function () {
  this.timeout(240_000);
  let pool: TestPool;
  let host: HostNamespace;
  let relay: Relay;
  let owners: TestDockerd;
  let directory: string;
  let home: string;
  let machine: JoinedMachine;
  let agent: MachineProcess | undefined;
  let pristine: Record<string, unknown>;
  let token: string;

  const folder = (): ReturnType<typeof agentFolder> => agentFolder(home);
  const identity = (): Promise<AgentKubeconfig> => readAgentKubeconfig(folder().kubeconfig);
  const engine = (): Docker => new Docker({ socketPath: join(home, 'engine', 'docker.sock') });
  const newToken = async (...flags: string[]): Promise<{ id: string; token: string }> =>
    JSON.parse(
      await pool.potluck('token', 'create', '--owner', 'alan', '--server', server, '-o', 'json', '--kubeconfig', pool.kubeconfig, ...flags),
    ) as { id: string; token: string };

  /** Everything that leaving must bring back. */
  async function snapshot(): Promise<Record<string, unknown>> {
    const ofOwner = new Docker({ socketPath: owners.socketPath });
    return {
      ...(await host.snapshot(home)),
      files: await fileTree(),
      folder: await readdir(directory),
      users: await users(),
      containers: (await ofOwner.listContainers({ all: true })).map(({ Id, State }) => [Id, State]),
      images: (await ofOwner.listImages()).map(({ Id }) => Id).sort(),
    };
  }

  const containersOf = async (uid: string): Promise<{ id: string; state: string }[]> => {
    const listed = await engine().listContainers({ all: true, filters: { label: [`${instanceUidLabel}=${uid}`] } });
    return listed.map(({ Id, State }) => ({ id: Id, state: State }));
  };

  async function apply(name: string): Promise<void> {
    const manifest = instanceManifest(name, { image: testImage, command: ['sleep', '1000000'] });
    const { code, stderr } = await pool.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
    assert.equal(code, 0, stderr);
  }

  /** What was made, undone from the last to the first. */
  const undo: (() => Promise<unknown>)[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'join-'));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    home = join(directory, 'machine');
    host = await makeHostNamespace();
    undo.push(() => host.remove());
    pool = await startTestPool({ providers: [], extraName: poolAddress, certificateLife: `${certificateLifeMs / 1000}s` });
    undo.push(() => pool.stop());
    const target = new URL(await pool.server()).host;
    relay = await startRelay({ namespace: host.lan, listen: `${poolAddress}:6443`, target, directory: pool.home });
    undo.push(() => relay.stop());
    // Nobody reaches the machine unless it asked.
    await host.runInLan('iptables', '-A', 'OUTPUT', '-o', 'eth0', '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP');
    owners = await startTestDockerd();
    undo.push(() => owners.stop());
    await importTestImage(owners.socketPath);
    const own = await new Docker({ socketPath: owners.socketPath }).createContainer({ Image: testImage, Cmd: ['sleep', '1000000'] });
    await own.start();
    machine = new JoinedMachine(host.path, home);
    undo.push(() => machine.run(['leave', '--now', '--force', '--timeout', '30s']));
    pristine = await snapshot();
  });
  after(async () => {
    await agent?.end('SIGTERM');
    for (const step of undo.reverse()) await step();
  });

  it('is refused in one line by a pool that does not take its token, whatever is wrong with it', async () => {
    const used = await newToken();
    const revoked = await newToken();
    assert.equal((await pool.kubectl(['delete', 'jointoken', revoked.id])).code, 0);
    const over = await newToken('--ttl', '1s');
    await eventually(
      async () => {
        const { spec } = await pool.client.get(joinTokens, { name: over.id });
        assert.ok(Date.parse(spec.expirationTimestamp) < Date.now());
      },
      { timeoutMs: 10_000, what: 'a token to be over' },
    );
    const wrong = used.token.replace(/\.[a-z2-7]{26}\./, `.${'a'.repeat(26)}.`);
    const texts = new Set<string>();
    for (const text of [wrong, revoked.token, over.token]) {
      const { code, output } = await machine.run(['join', server, '-', '--name', 'desk'], text);
      assert.equal(code, 1);
      texts.add(output.trim().split('\n').at(-1) ?? '');
    }
    assert.equal(texts.size, 1, [...texts].join('\n'));
    assert.match([...texts][0] ?? '', /^PLK018 the pool does not accept the token\. /);
    const none = await machine.run(['join']);
    assert.deepEqual([none.code, none.output.slice(0, 6)], [1, 'PLK022']);
    await pool.kubectl(['delete', 'jointoken', used.id, over.id]);
  });

  it('is told when the certificate of the pool is not for the name in the URL', async () => {
    const { token: invitation } = await newToken();
    await host.runInLan('ip', 'address', 'add', '192.168.50.3/24', 'dev', 'eth0');
    const second = await startRelay({
      namespace: host.lan,
      listen: '192.168.50.3:6443',
      target: new URL(await pool.server()).host,
      directory,
    });
    const { code, output } = await machine.run(['join', 'https://192.168.50.3:6443', '-'], invitation);
    await second.stop();
    await rm(join(directory, 'relay.sock'), { force: true });
    assert.equal(code, 1);
    assert.match(output, /PLK017 the pool's certificate is not for 192\.168\.50\.3\. .*--advertise-address 192\.168\.50\.3\n/);
    const nobody = await machine.run(['join', 'https://192.168.50.3:6444', '-'], invitation);
    assert.match(nobody.output, /PLK009 192\.168\.50\.3:6444 cannot be reached/);
  });

  it('joins with a token, and lends what its owner says', async () => {
    const made = await newToken();
    token = made.token;
    const flags = [
      '--name',
      'desk',
      '--offer',
      'cpu=1,memory=512Mi,disk=1Gi',
      '--region',
      'eu-west',
      '--latitude',
      '45.18',
      '--longitude=5.72',
    ];
    agent = machine.start(['join', server, '-', ...flags], token);
    await agent.untilPrinted('Ctrl-C stops the agent', 120_000);
    assert.match(agent.output, /✓ provider desk ready/, agent.output);
    const provider = await pool.client.get(providers, { name: 'desk' });
    assert.deepEqual(provider.spec.location, { region: 'eu-west', latitude: 45.2, longitude: 5.7 });
    assert.deepEqual([provider.spec.owner, provider.spec.offer['cpu']], ['alan', '1']);
    assert.equal(provider.metadata.uid, (await identity()).providerUid);
    const used: JoinToken = await pool.client.get(joinTokens, { name: made.id });
    assert.deepEqual(
      used.status?.claims?.map(({ providerName }) => providerName),
      ['desk'],
    );
  });

  it('keeps its secrets to itself', async () => {
    const secret = token.split('.')[2] ?? '';
    assert.deepEqual(await processesWith(secret), []);
    for (const file of await readdir(home, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath, file.name);
      if (!file.isFile() || path.startsWith(join(home, 'engine'))) continue;
      assert.ok(!(await readFile(path, 'utf8')).includes(secret), `${path} has the secret of the token`);
    }
    assert.equal((await stat(folder().path)).mode & 0o777, 0o700);
    for (const file of [folder().identityKey, folder().kubeconfig, folder().enrolment]) {
      assert.equal((await stat(file)).mode & 0o777, 0o600, file);
    }
    assert.equal((await host.run('ss', '-Hltun')).trim(), '', 'something listens on the machine');
  });

  it('is not joined twice: to its own pool it goes on, to another it is refused', async () => {
    const { token: second } = await newToken();
    const other = second.replace(/[^.]+$/, 'A'.repeat(43));
    const elsewhere = await machine.run(['join', server, '-'], other);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.output, /^PLK011 potluck join \(process \d+\) runs already/);
    assert.match((await machine.run(['agent'])).output, /PLK011 another agent \(process \d+\) runs already/);
  });

  it('runs instances, also while its certificate is renewed', async () => {
    await importTestImage(join(home, 'engine', 'docker.sock'));
    await apply('first');
    const { metadata } = await pool.untilPhase('first', 'Running', 60_000);
    const [container] = await containersOf(metadata.uid ?? '');
    const first = await identity();
    const renewed = await eventually(
      async () => {
        const now = await identity();
        assert.notEqual(now.certPem, first.certPem);
        return now;
      },
      { timeoutMs: certificateLifeMs, what: 'the certificate to be renewed', intervalMs: 200 },
    );
    assert.notEqual(renewed.keyPem, first.keyPem);
    assert.ok(Date.now() < first.validity.notAfterMs, 'it came too late');
    const { publicKey } = new X509Certificate(renewed.certPem);
    assert.notDeepEqual(publicKey, new X509Certificate(first.certPem).publicKey);
    await eventually(() => assert.doesNotReject(pool.untilPhase('first', 'Running', 1_000)), { timeoutMs: 5_000, what: 'first to run on' });
    assert.deepEqual(await containersOf(metadata.uid ?? ''), [container]);
    assert.ok(agent?.running);
  });

  it('finds its instances after it was away for longer than its certificate holds', async () => {
    const { metadata } = await pool.get('first');
    const [container] = await containersOf(metadata.uid ?? '');
    assert.equal(await agent?.end('SIGINT'), 0, agent?.output);
    assert.match(agent?.output ?? '', /Stopped\. Instances go on/);
    assert.deepEqual(await containersOf(metadata.uid ?? ''), [container]);
    const old = await identity();
    const isOver = (): Promise<void> =>
      assert.doesNotReject(() => (Date.now() > old.validity.notAfterMs ? Promise.resolve() : Promise.reject(new Error('no'))));
    await eventually(isOver, { timeoutMs: certificateLifeMs + 5_000, what: 'the certificate to be over' });
    agent = machine.start(['join']);
    await agent.untilPrinted('Ctrl-C stops the agent', 90_000);
    assert.match(agent.output, /This machine is desk in the pool already/);
    await eventually(
      async () => {
        assert.ok((await identity()).validity.notAfterMs > Date.now());
        assert.equal((await pool.client.get(providers, { name: 'desk' })).status?.phase, 'Ready');
      },
      { timeoutMs: 60_000, what: 'the machine to recover' },
    );
    assert.equal((await identity()).providerUid, old.providerUid);
    await pool.untilPhase('first', 'Running', 60_000);
    assert.deepEqual(await containersOf(metadata.uid ?? ''), [container]);
    assert.match(await readFile(join(home, 'logs', 'agent.log'), 'utf8'), /recovered by the identity key/);
  });

  it('stays when leaving was interrupted and it is started again', async () => {
    const patch = JSON.stringify({ spec: { withdrawalGraceSeconds: 600 } });
    assert.equal((await pool.kubectl(['patch', 'provider', 'desk', '--type=merge', '-p', patch])).code, 0);
    const leaving = machine.start(['leave']);
    await untilPhase('Withdrawing');
    await leaving.end('SIGKILL');
    assert.equal((await pool.get('first')).status?.phase, 'Running');
    await agent?.end('SIGTERM');
    agent = machine.start(['join']);
    await agent.untilPrinted('Ctrl-C stops the agent', 90_000);
    await untilPhase('Ready');
    assert.equal((await pool.client.get(providers, { name: 'desk' })).status?.leavingAt, undefined);
  });

  it('leaves, and nothing of it remains', async () => {
    const { code, output } = await machine.run(['leave', '--now', '--timeout', '90s']);
    assert.equal(code, 0, output);
    assert.match(output, /✓ every instance has left[^]*✓ provider desk removed from the pool[^]*Removed: /);
    assert.equal(await agent?.end('SIGTERM'), 0);
    await assert.rejects(pool.client.get(providers, { name: 'desk' }), isNotFound);
    await pool.untilPhase('first', 'Pending');
    assert.deepEqual(await processesWith(home), []);
    const after = await snapshot();
    for (const [what, was] of Object.entries(pristine)) assert.deepEqual(after[what], was, `${what} changed`);
    const again = await machine.run(['leave']);
    assert.equal(again.code, 0);
    assert.match(again.output, /Nothing was left/);
  });

  async function untilPhase(phase: string): Promise<void> {
    const check = async (): Promise<void> => {
      const { status } = await pool.client.get(providers, { name: 'desk' });
      assert.equal(status?.phase, phase);
    };
    await eventually(check, { timeoutMs: 60_000, what: `desk to be ${phase}`, intervalMs: 200 });
  }
});

/** A machine whose owner lends an engine that runs already: approved by hand, thrown out, cut off. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { instanceUidLabel } from '../../api/names.ts';
import { providers } from '../../api/resource-type.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { readAgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import { startTestDockerd, type TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, testImage } from '../support/image.ts';
import { processesWith } from '../support/machine-traces.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool, type TestPool } from '../support/pool.ts';
import { startPotluck, type TestProcess } from '../support/processes.ts';
import { runPotluck } from '../support/up.ts';

describe('a machine with an engine of its own', function () {
  this.timeout(180_000);
  let pool: TestPool;
  let dockerd: TestDockerd;
  let directory: string;
  let home: string;
  let server: string;
  let agent: TestProcess | undefined;

  const engineFlags = (): string[] => ['--engine', `unix://${dockerd.socketPath}`];
  const newToken = async (...flags: string[]): Promise<string> => {
    const text = await pool.potluck(
      'token',
      'create',
      '--owner',
      'ada',
      '--server',
      server,
      '-o',
      'json',
      '--kubeconfig',
      pool.kubeconfig,
      ...flags,
    );
    return (JSON.parse(text) as { token: string }).token;
  };
  const asAdmin = (...args: string[]): Promise<string> => pool.potluck('token', ...args, '--kubeconfig', pool.kubeconfig);
  const containers = async (): Promise<string[]> => {
    const listed = await new Docker({ socketPath: dockerd.socketPath }).listContainers({ filters: { label: [instanceUidLabel] } });
    return listed.map(({ Id }) => Id);
  };
  const startAgent = async (): Promise<void> => {
    agent = await startPotluck('agent', ['agent', '--home', home], join(home, 'logs', 'agent.log'));
  };
  const agentLog = (): Promise<string> => readFile(join(home, 'logs', 'agent.log'), 'utf8');

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'leave-'));
    home = join(directory, 'machine');
    [pool, dockerd] = await Promise.all([startTestPool({ providers: [] }), startTestDockerd()]);
    server = await pool.server();
    await importTestImage(dockerd.socketPath);
  });
  after(async () => {
    await agent?.stop();
    await pool.stop();
    await dockerd.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('waits for an approval by hand, and goes on with the token that was used up meanwhile', async () => {
    const token = await newToken('--approve-by-hand');
    const args = ['join', server, token, '--home', home, '--name', 'lap', '--no-agent', '--approval-timeout', '3s', ...engineFlags()];
    const first = await runPotluck(...args);
    assert.equal(first.code, 1);
    const request = /^PLK020 nobody settled (join-[a-z0-9-]+) in 3 s\. .*kubectl certificate approve \1/m.exec(first.output)?.[1];
    assert.ok(request !== undefined, first.output);
    assert.equal((await pool.kubectl(['certificate', 'approve', request])).code, 0);
    const second = await runPotluck(...args);
    assert.equal(second.code, 0, second.output);
    assert.match(second.output, /This machine is lap in the pool, when potluck agent --home /);
    assert.ok(!existsSync(agentFolder(home).pendingRequest));
    const third = await runPotluck('join', server, token, '--home', join(directory, 'other'), '--no-agent', ...engineFlags());
    assert.match(third.output, /PLK018 /);
  });

  it('is refused by the admin who denies it, and told why', async () => {
    const token = await newToken('--approve-by-hand');
    const other = join(directory, 'denied');
    const joining = runPotluck('join', server, token, '--home', other, '--name', 'spy', '--no-agent', ...engineFlags());
    const id = token.split('.')[1] ?? '';
    await eventually(
      async () => {
        const { stdout } = await pool.kubectl(['get', 'csr', '-o', 'name']);
        const name = stdout.split('\n').find((line) => line.includes(`join-${id}-`));
        assert.ok(name !== undefined);
        // It stood among the arguments.
        assert.deepEqual(await processesWith(token.split('.')[2] ?? ''), []);
        assert.equal((await pool.kubectl(['certificate', 'deny', name.replace(/^.*\//, '')])).code, 0);
      },
      { timeoutMs: 60_000, what: 'the request to be there' },
    );
    const { code, output } = await joining;
    assert.equal(code, 1);
    assert.match(output, /PLK019 the pool denied join-[a-z0-9-]+: /);
  });

  it('is believed no more when its Provider is deleted, says so once, and keeps what runs', async () => {
    await startAgent();
    const manifest = instanceManifest('kept', { image: testImage, command: ['sleep', '1000000'] });
    assert.equal((await pool.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) })).code, 0);
    await pool.untilPhase('kept', 'Running', 60_000);
    const running = await containers();
    assert.equal(running.length, 1);
    assert.equal((await pool.kubectl(['delete', 'provider', 'lap', '--wait=false'])).code, 0);
    await eventually(async () => assert.match(await agentLog(), /does not believe this machine any more/), {
      timeoutMs: 60_000,
      what: 'the agent to notice',
    });
    assert.ok(agent?.running);
    assert.deepEqual(await containers(), running);
    await agent.stop();
    await startAgent();
    await eventually(async () => assert.equal((await agentLog()).match(/does not believe/g)?.length, 2), {
      timeoutMs: 60_000,
      what: 'another agent to notice',
    });
    assert.ok(agent.running, 'it must go on trying');
    assert.deepEqual(await containers(), running);
  });

  it('comes back with another token, as another machine, without what ran for the one that it was', async () => {
    const before = await containers();
    const { providerUid } = await readAgentKubeconfig(agentFolder(home).kubeconfig);
    await agent?.stop();
    const args = ['join', server, await newToken(), '--home', home, '--name', 'lap', '--no-agent', ...engineFlags()];
    const { code, output } = await runPotluck(...args);
    assert.equal(code, 0, output);
    const { metadata } = await pool.client.get(providers, { name: 'lap' });
    assert.notEqual(metadata.uid, providerUid);
    await startAgent();
    await pool.untilPhase('kept', 'Running', 60_000);
    await eventually(
      async () =>
        assert.deepEqual(
          (await containers()).filter((id) => before.includes(id)),
          [],
        ),
      {
        timeoutMs: 30_000,
        what: 'the former containers to be removed',
      },
    );
    assert.equal((await containers()).length, 1);
  });

  it('cleans up after itself when it was thrown out', async () => {
    assert.equal((await pool.kubectl(['delete', 'provider', 'lap', '--wait=false'])).code, 0);
    const { code, output } = await runPotluck('leave', '--home', home);
    assert.equal(code, 0, output);
    assert.match(output, /The pool does not know this machine any more[^]*Removed: /);
    assert.deepEqual(await containers(), []);
    assert.ok(!existsSync(home));
    assert.equal(agent?.running, false);
  });

  it('is let in by a member too, in their own name only', async () => {
    const kubeconfig = join(directory, 'ada.kubeconfig');
    await writeFile(kubeconfig, await pool.potluck('member', 'add', 'ada', '--server', server, '--kubeconfig', pool.kubeconfig));
    const asAda = async (...args: string[]): Promise<string> => pool.potluck('token', ...args, '--kubeconfig', kubeconfig);
    const others = (JSON.parse(await asAdmin('list', '-o', 'json')) as { id: string }[]).length;
    const { id } = JSON.parse(await asAda('create', '--owner', 'ada', '--server', server, '-o', 'json')) as { id: string };
    await assert.rejects(asAda('create', '--owner', 'alan', '--server', server), /PLK\d{3} .*(owner|alan)/);
    await asAdmin('create', '--owner', 'alan', '--server', server);
    const seen = JSON.parse(await asAda('list', '-o', 'json')) as { id: string; owner: string }[];
    assert.ok(seen.some((token) => token.id === id));
    assert.ok(
      seen.every(({ owner }) => owner === 'ada'),
      JSON.stringify(seen),
    );
    assert.equal((JSON.parse(await asAdmin('list', '-o', 'json')) as unknown[]).length, others + 2);
    assert.equal(await asAda('delete', id), `join token ${id} deleted\n`);
    await assert.rejects(asAda('delete', id), /PLK\d{3} /);
  });

  it('does not leave a pool that it cannot reach, unless told to, and says what remains there', async () => {
    const args = ['join', server, await newToken('--provider', 'lap-2'), '--home', home, '--no-agent', ...engineFlags()];
    const joined = await runPotluck(...args);
    assert.equal(joined.code, 0, joined.output);
    const { providerUid } = await readAgentKubeconfig(agentFolder(home).kubeconfig);
    assert.equal((await pool.client.get(providers, { name: 'lap-2' })).metadata.uid, providerUid);
    await pool.killHard('api');
    const first = await runPotluck('leave', '--home', home);
    assert.equal(first.code, 1);
    assert.match(first.output, /PLK009 the pool cannot be reached: .*--force/);
    assert.ok(existsSync(agentFolder(home).identityKey));
    const forced = await runPotluck('leave', '--force', '--home', home);
    assert.equal(forced.code, 0, forced.output);
    assert.match(forced.output, /The Provider lap-2 remains in the pool: have an admin run kubectl delete provider lap-2\./);
    assert.ok(!existsSync(home));
    await pool.restart('api');
  });
});

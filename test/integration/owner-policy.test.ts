/** The owner's word against everybody's, the admin's included: a real API server, a real dockerd, and the policy file between them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providerUser, providersGroup } from '../../api/names.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startAgent } from '../../node-agent/agent.ts';
import type { Agent } from '../../node-agent/agent.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { createLogger, silentLogger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, otherTestImage, testImage } from '../support/image.ts';

const namespace = 'default';
const providerName = 'desktop';
const head = 'apiVersion: potluck.dev/v1alpha1\nkind: OwnerPolicy\n';
/** What the owner is promised. */
const boundMs = 5_000;
const logger =
  process.env['POTLUCK_TEST_LOG'] === undefined ? silentLogger : createLogger({ component: 'agent', level: 'debug', format: 'text' });

type Status = NonNullable<Instance['status']>;

describe("the owner's policy", function () {
  this.timeout(90_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let docker: Docker;
  let admin: KubeClient;
  let ownClient: KubeClient;
  let provider: Provider;
  let home: string;
  let policyPath: string;
  let agent: Agent | undefined;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-owner-'));
    policyPath = join(home, 'owner-policy.yaml');
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
    docker = new Docker({ socketPath: dockerd.socketPath });
    await importTestImage(dockerd.socketPath);
    await importTestImage(dockerd.socketPath, otherTestImage);
    admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    provider = await admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: providerName },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } },
    });
    const uid = provider.metadata.uid ?? '';
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: [], now: Date.now });
    const subject = { commonName: providerUser(uid), organizations: [providersGroup] };
    const identity = await pki.issueClientCertificate({ ...subject, lifetimeMs: 86_400_000 });
    const kubeconfig = join(home, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: api.url, caPem: pki.caPem, ...identity, user: providerUser(uid) });
    ownClient = createClient({ kubeconfig, userAgent: 'potluck-agent' });
    await start();
  });
  after(async () => {
    await agent?.stop();
    ownClient.close();
    admin.close();
    await dockerd.stop();
    await api.stop();
    await rm(home, { recursive: true, force: true });
  });
  afterEach(async () => {
    await allow('');
    for (const { metadata } of (await admin.list(instances, { namespace })).items) {
      await admin.delete(instances, { namespace, name: metadata.name ?? '' });
    }
    await eventually(async () => assert.equal((await docker.listContainers({ all: true })).length, 0), {
      timeoutMs: 60_000,
      what: 'no container',
    });
  });

  async function start(): Promise<void> {
    const engine = { kind: 'socket', socketPath: dockerd.socketPath } as const;
    const providerUid = provider.metadata.uid ?? '';
    agent = await startAgent({ client: ownClient, providerName, providerUid, home, engine, ownerPolicyPath: policyPath, logger });
  }

  /** As an editor saves. */
  async function allow(rules: string): Promise<void> {
    await writeFile(`${policyPath}.swp`, `${head}${rules}\n`);
    await rename(`${policyPath}.swp`, policyPath);
  }

  async function run(name: string, spec: Partial<Instance['spec']> = {}): Promise<Instance> {
    const resources = { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '500m', memory: '128Mi', pids: '64' } };
    const instance = await admin.create(instances, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name, namespace },
      spec: { image: testImage, command: ['sleep', '1000'], resources, ...spec },
    });
    await updateStatus(admin, instances, { namespace, name }, (draft) => {
      const assignment = { providerName, providerUID: provider.metadata.uid ?? '', epoch: 1 };
      draft.status = { ...draft.status, phase: 'Assigned', assignment, lastEpoch: 1, hostname: `tests-desktop-${name}` };
    });
    return instance;
  }

  async function until(name: string, claim: (status: Status) => void, timeoutMs = boundMs): Promise<Status> {
    return eventually(
      async () => {
        const { status = {} } = await admin.get(instances, { namespace, name });
        try {
          claim(status);
        } catch (error) {
          throw new Error(`${String(error)} in ${JSON.stringify(status)}`, { cause: error });
        }
        return status;
      },
      { timeoutMs, what: `${name} to be as claimed`, intervalMs: 50 },
    );
  }

  const condition = (status: Status, type: string): { status: string; reason: string; message: string } | undefined =>
    status.conditions?.find((one) => one.type === type);
  const runs = (status: Status): void => assert.equal(condition(status, 'Ready')?.status, 'True');
  const isHeldBy =
    (rule: RegExp) =>
    (status: Status): void => {
      assert.equal(condition(status, 'Ready')?.reason, 'OwnerPolicy');
      assert.match(condition(status, 'Ready')?.message ?? '', rule);
    };
  const inspect = async ({ metadata }: Instance): Promise<Docker.ContainerInspectInfo> =>
    docker.getContainer(containerName(metadata.uid ?? '')).inspect();

  it('stops everything within 5 s, keeps the disk, and starts it again when the owner allows', async () => {
    // One that does not listen to SIGTERM.
    const stubborn = ['sh', '-c', "trap '' TERM; test -e /kept && exec sleep 2000; echo x > /kept; while true; do sleep 1; done"];
    const one = await run('one');
    const two = await run('two', { command: stubborn, restartPolicy: 'Never' });
    await until('one', runs, 15_000);
    await until('two', runs, 15_000);
    await allow('stopNow: true');
    await until('one', isHeldBy(/stopNow/));
    await until('two', (status) => {
      isHeldBy(/stopNow/)(status);
      assert.equal(status.phase, 'Stopped');
    });
    for (const each of [one, two]) assert.equal((await inspect(each)).State.Running, false);
    const { status } = await eventually(
      async () => {
        const now = await admin.get(providers, { name: providerName });
        assert.deepEqual(now.status?.ownerPolicy, { open: false, reason: 'StopNow' });
        return now;
      },
      { timeoutMs: boundMs, what: 'the Provider to say so' },
    );
    assert.equal(status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.status, 'True');
    const { stdout } = await api.kubectl(['get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].reason}']);
    assert.match(stdout, /OwnerPolicy/);
    await allow('');
    await until('one', runs);
    const again = await until('two', runs);
    assert.equal(again.restartCount, 0, 'the end was not the instance’s own');
    assert.equal((await inspect(two)).Args.includes('sleep'), false);
  });

  it('stops all of many within 5 s, though none of them listens', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    const started = await Promise.all(
      names.map((name) => run(name, { command: ['sh', '-c', "trap '' TERM; while true; do sleep 1; done"] })),
    );
    await Promise.all(names.map((name) => until(name, runs, 60_000)));
    const pids = await Promise.all(started.map(async (each) => (await inspect(each)).State.Pid));
    await allow('stopNow: true');
    const alive = (): number[] => pids.filter((pid) => existsSync(`/proc/${pid}`));
    await eventually(() => assert.deepEqual(alive(), []), { timeoutMs: boundMs, what: 'the last process to end', intervalMs: 50 });
    // To take eight containers down and say so costs an engine on a busy machine some seconds more.
    await Promise.all(names.map((name) => until(name, isHeldBy(/stopNow/), 3 * boundMs)));
  });

  it('cannot be undone by any call to the API, not even the admin’s', async () => {
    const one = await run('one');
    await until('one', runs, 15_000);
    await allow('stopNow: true');
    await until('one', isHeldBy(/stopNow/));
    const name = { name: providerName };
    const free = { ownerPolicy: { open: true }, allocatable: { cpu: '64', memory: '64Gi', disk: '1Ti' } };
    await admin.patch(providers, name, { status: free }, { subresource: 'status' });
    await admin.patch(providers, name, { spec: { offer: { cpu: '64', memory: '64Gi', disk: '1Ti' }, available: true } });
    await admin.patch(instances, { namespace, name: 'one' }, { spec: { powerState: 'Stopped' } });
    await admin.patch(
      instances,
      { namespace, name: 'one' },
      { spec: { powerState: 'Running', image: otherTestImage, restartPolicy: 'Never' } },
    );
    await updateStatus(admin, instances, { namespace, name: 'one' }, (draft) => {
      draft.status = { ...draft.status, phase: 'Running', conditions: [] };
    });
    const newcomer = await run('two');
    await until('two', isHeldBy(/stopNow/));
    await until('one', isHeldBy(/stopNow/));
    assert.equal((await inspect(one)).State.Running, false);
    await assert.rejects(inspect(newcomer), { statusCode: 404 });
    await eventually(async () => assert.equal((await admin.get(providers, name)).status?.ownerPolicy?.open, false), {
      timeoutMs: 20_000,
      what: 'the agent to say again what the file says',
    });
    await agent?.stop();
    agent = undefined;
    await docker.getContainer(containerName(one.metadata.uid ?? '')).start();
    await start();
    await eventually(async () => assert.equal((await inspect(one)).State.Running, false), { timeoutMs: boundMs, what: 'it to be stopped' });
  });

  it('throttles a running instance live, says how, and gives it back', async () => {
    const one = await run('one');
    await until('one', runs, 15_000);
    const before = await inspect(one);
    await allow('perInstance: { cpu: 100m, memory: 64Mi, pids: 16 }');
    const status = await until('one', (now) => assert.equal(condition(now, 'Throttled')?.status, 'True'));
    assert.match(condition(status, 'Throttled')?.message ?? '', /cpu 500m to 100m.*memory 128Mi to 64Mi.*pids 64 to 16/);
    const cut = await inspect(one);
    assert.deepEqual([cut.HostConfig.CpuQuota, cut.HostConfig.Memory, cut.HostConfig.PidsLimit], [10_000, 64 * 1024 ** 2, 16]);
    assert.equal(cut.State.StartedAt, before.State.StartedAt);
    await allow('');
    await until('one', (now) => assert.equal(condition(now, 'Throttled')?.status, 'False'));
    const { HostConfig: host } = await inspect(one);
    assert.deepEqual([host.CpuQuota, host.Memory, host.PidsLimit], [50_000, 128 * 1024 ** 2, 64]);
  });

  it('ends what uses more memory than is allowed now, and starts it again with less', async () => {
    // Holds 80 MiB from its first start only.
    const hold = 'test -e /been && exec sleep 2000; echo x > /been; head -c 80m /dev/zero | tail -c 80m | sleep 1000';
    const one = await run('one', { command: ['sh', '-c', hold] });
    await until('one', runs, 15_000);
    const used = async (): Promise<number> =>
      (await docker.getContainer(containerName(one.metadata.uid ?? '')).stats({ stream: false })).memory_stats.usage;
    await eventually(async () => assert.ok((await used()) > 70 * 1024 ** 2), { timeoutMs: 15_000, what: '80 MiB to be in use' });
    const before = await inspect(one);
    await allow('perInstance: { memory: 48Mi }');
    await eventually(
      async () => {
        const now = await inspect(one);
        assert.equal(now.HostConfig.Memory, 48 * 1024 ** 2);
        assert.notEqual(now.State.StartedAt, before.State.StartedAt);
        assert.equal(now.State.Running, true);
      },
      { timeoutMs: boundMs, what: 'it to run with less' },
    );
  });

  it('lets the oldest run when all together are over the total, and each that fits', async () => {
    const all: Instance[] = [];
    for (const name of ['one', 'two', 'three']) {
      all.push(await run(name));
      await until(name, runs, 15_000);
      // Creation times are whole seconds.
      await eventually(() => assert.ok(Date.now() >= Date.parse(all.at(-1)?.metadata.creationTimestamp ?? '') + 1_000), {
        timeoutMs: 3_000,
        what: 'the next second',
      });
    }
    await allow('total: { cpu: 500m }');
    await until('three', isHeldBy(/total\.cpu: 500m/));
    await until('two', runs);
    await allow('total: { cpu: 250m }');
    await until('two', isHeldBy(/total\.cpu/));
    await until('one', runs);
    await admin.delete(instances, { namespace, name: 'one' });
    await until('two', runs);
    await eventually(async () => assert.equal((await admin.get(providers, { name: providerName })).status?.allocatable?.['cpu'], '250m'), {
      timeoutMs: boundMs,
      what: 'allocatable to follow',
    });
  });

  it('holds images, members and hours, and names the rule', async () => {
    await run('one');
    await until('one', runs, 15_000);
    await allow('images: { allow: ["debian"] }');
    await until('one', isHeldBy(/\(images\)/));
    await allow('images: { allow: ["potluck-test/busybox:1"] }');
    await until('one', runs);
    await allow('members: { deny: [default] }');
    await until('one', isHeldBy(/\(members\)/));
    await allow('hours: []');
    await until('one', isHeldBy(/\(hours\)/));
    await allow('runtimes: [runsc]');
    await until('one', isHeldBy(/\(runtimes\)/));
  });

  it('goes on by the last good file when the new one is broken, and says what is wrong with it', async () => {
    await run('one');
    await until('one', runs, 15_000);
    await allow('stopNow: true');
    await until('one', isHeldBy(/stopNow/));
    await allow('stopNow: maybe');
    const { status } = await eventually(
      async () => {
        const now = await admin.get(providers, { name: providerName });
        assert.equal(now.status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.status, 'False');
        return now;
      },
      { timeoutMs: boundMs, what: 'OwnerPolicyValid=False' },
    );
    const said = status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.message ?? '';
    assert.match(said, /owner-policy\.yaml line 3, stopNow: must be boolean/);
    await until('one', isHeldBy(/stopNow/));
    await eventually(
      async () => {
        const { stdout } = await api.kubectl([
          'get',
          'events',
          '-A',
          '--field-selector',
          'involvedObject.kind=Provider',
          '-o',
          'jsonpath={.items[*].message}',
        ]);
        assert.match(stdout, /stopNow: must be boolean/);
      },
      { timeoutMs: boundMs, what: 'the event' },
    );
  });
});

/** The agent between a real API server and a real dockerd. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { openPki } from '../../apiserver/access/pki.ts';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { instanceUidLabel, providerLabel, providerUser, providersGroup } from '../../api/names.ts';
import { instances, leases, providerInventories, providers } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startAgent } from '../../node-agent/agent.ts';
import type { Agent } from '../../node-agent/agent.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { stopInstances } from '../../node-agent/stop-instances.ts';
import { createLogger, silentLogger } from '../../runtime/logger.ts';
import { updateObject, updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, otherTestImage, testImage } from '../support/image.ts';

const namespace = 'default';
const providerName = 'desktop';
const logger =
  process.env['POTLUCK_TEST_LOG'] === undefined ? silentLogger : createLogger({ component: 'agent', level: 'debug', format: 'text' });

describe('agent', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let admin: KubeClient;
  let ownClient: KubeClient;
  let docker: Docker;
  let provider: Provider;
  let home: string;
  let agent: Agent | undefined;
  let counter = 0;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-agent-'));
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
    docker = new Docker({ socketPath: dockerd.socketPath });
    await importTestImage(dockerd.socketPath);
    await importTestImage(dockerd.socketPath, otherTestImage);
    admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    provider = await admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: providerName },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi', 'egress-bandwidth': '10M' } },
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

  async function start(): Promise<void> {
    const engine = { kind: 'socket', socketPath: dockerd.socketPath } as const;
    agent = await startAgent({ client: ownClient, providerName, providerUid: provider.metadata.uid ?? '', home, engine, logger });
  }

  async function stop(): Promise<void> {
    await agent?.stop();
    agent = undefined;
  }

  type Spec = Partial<Instance['spec']>;

  /** Creates an instance and binds it to this provider, as the scheduler would. */
  async function run(spec: Spec = {}): Promise<Instance> {
    counter += 1;
    const name = `i${counter}`;
    const instance = await admin.create(instances, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name, namespace, finalizers: ['potluck.dev/container'] },
      spec: {
        image: testImage,
        command: ['sleep', '1000'],
        resources: { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi', pids: '64' } },
        ...spec,
      },
    });
    await bind(name, 1);
    return instance;
  }

  async function bind(name: string, epoch: number): Promise<void> {
    await updateStatus(admin, instances, { namespace, name }, (draft) => {
      const assignment = { providerName, providerUID: provider.metadata.uid ?? '', epoch };
      draft.status = { ...draft.status, phase: 'Assigned', assignment, lastEpoch: epoch, hostname: `tests-desktop-${name}` };
    });
  }

  async function change(instance: Instance, edit: (spec: Instance['spec']) => void): Promise<void> {
    await updateObject(admin, instances, { namespace, name: instance.metadata.name ?? '' }, (draft) => edit(draft.spec));
  }

  function get(instance: Instance): Promise<Instance> {
    return admin.get(instances, { namespace, name: instance.metadata.name ?? '' });
  }

  async function until(
    instance: Instance,
    claim: (status: NonNullable<Instance['status']>) => void,
    timeoutMs = 15_000,
  ): Promise<Instance> {
    const what = `${instance.metadata.name ?? ''} to be as claimed`;
    return eventually(
      async () => {
        const now = await get(instance);
        try {
          claim(now.status ?? {});
        } catch (error) {
          throw new Error(`${String(error)} in ${JSON.stringify(now.status)}`, { cause: error });
        }
        return now;
      },
      { timeoutMs, what },
    );
  }

  const isRunning = (status: NonNullable<Instance['status']>): void => {
    assert.equal(status.phase, 'Running');
    assert.equal(ready(status)?.status, 'True');
  };
  const ready = (status: NonNullable<Instance['status']>): { status: string; reason: string; message: string } | undefined =>
    status.conditions?.find(({ type }) => type === 'Ready');
  const inspect = async (instance: Instance): Promise<Docker.ContainerInspectInfo> =>
    docker.getContainer(containerName(instance.metadata.uid ?? '')).inspect();

  async function remove(instance: Instance): Promise<void> {
    await admin.delete(instances, { namespace, name: instance.metadata.name ?? '' });
    await until(instance, (status) =>
      assert.ok(status.conditions?.some(({ type, status: is }) => type === 'ContainerRemoved' && is === 'True')),
    );
    await updateObject(admin, instances, { namespace, name: instance.metadata.name ?? '' }, (draft) => {
      draft.metadata.finalizers = [];
    });
  }

  it('says what the machine has, and keeps its lease', async () => {
    const key = { name: providerName };
    await eventually(async () => assert.ok((await admin.get(providers, key)).status?.allocatable), {
      timeoutMs: 10_000,
      what: 'allocatable',
    });
    const { status } = await admin.get(providers, key);
    assert.equal(status?.allocatable?.['memory'], '2Gi');
    assert.equal(status.allocatable['egress-bandwidth'], '10M');
    assert.equal(status.systemInfo?.architecture, process.arch === 'x64' ? 'amd64' : process.arch);
    assert.match(status.systemInfo.engineVersion ?? '', /^docker \d/);
    await eventually(async () => assert.ok((await admin.get(providerInventories, key)).status?.measuredAt), {
      timeoutMs: 10_000,
      what: 'inventory',
    });
    const lease = await admin.get(leases, { namespace: 'potluck-provider-leases', name: providerName });
    assert.equal(lease.spec.holderIdentity, provider.metadata.uid);
  });

  it('refuses to be another provider than its certificate says', async () => {
    const options = { client: ownClient, home, engine: { kind: 'socket', socketPath: dockerd.socketPath } as const, logger: silentLogger };
    await assert.rejects(startAgent({ ...options, providerName, providerUid: 'another' }), { code: 'PLK013' });
    await assert.rejects(startAgent({ ...options, providerName: 'none', providerUid: provider.metadata.uid ?? '' }), { code: 'PLK013' });
  });

  it('makes a container with exactly the declared limits', async () => {
    const instance = await run({ env: [{ name: 'A', value: 'b c' }], workingDir: '/tmp' });
    const { status } = await until(instance, isRunning);
    const info = await inspect(instance);
    const { HostConfig: host, Config: config } = info;
    assert.equal(host.CpuQuota, 50_000);
    assert.equal(host.CpuPeriod, 100_000);
    assert.equal(host.Memory, 64 * 1024 ** 2);
    assert.equal(host.MemorySwap, 64 * 1024 ** 2);
    assert.equal(host.MemoryReservation, 32 * 1024 ** 2);
    assert.equal(host.PidsLimit, 64);
    assert.deepEqual(host.CapDrop, ['ALL']);
    assert.equal(host.Privileged, false);
    assert.deepEqual(host.SecurityOpt, ['no-new-privileges']);
    assert.deepEqual(config.Env.includes('A=b c'), true);
    assert.equal(config.WorkingDir, '/tmp');
    assert.equal(config.Hostname, `tests-desktop-${instance.metadata.name ?? ''}`);
    assert.equal(config.Labels[instanceUidLabel], instance.metadata.uid);
    assert.equal(config.Labels[providerLabel], provider.metadata.uid);
    assert.equal(status?.containerID, `docker://${info.Id}`);
    assert.equal(status.observedEpoch, 1);
    assert.equal(status.hostname, config.Hostname);
    await remove(instance);
    await assert.rejects(inspect(instance), { statusCode: 404 });
  });

  it('changes limits live, without a restart', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const before = await inspect(instance);
    await change(instance, (spec) => {
      spec.resources = { requests: { cpu: '500m', memory: '48Mi' }, limits: { cpu: '750m', memory: '96Mi', pids: '32' } };
    });
    const after = await eventually(
      async () => {
        const info = await inspect(instance);
        assert.equal(info.HostConfig.Memory, 96 * 1024 ** 2);
        return info;
      },
      { timeoutMs: 10_000, what: 'the new limits' },
    );
    assert.equal(after.HostConfig.CpuQuota, 75_000);
    assert.equal(after.HostConfig.PidsLimit, 32);
    assert.equal(after.State.StartedAt, before.State.StartedAt);
    await remove(instance);
  });

  it('stops and starts by powerState and keeps the disk', async () => {
    const instance = await run({ command: ['sh', '-c', 'test -e /kept && exec sleep 2000; echo x > /kept; sync; exec sleep 1000'] });
    await until(instance, isRunning);
    const { Id: id } = await inspect(instance);
    await eventually(async () => assert.deepEqual(await changedFiles(id), ['/kept']), { timeoutMs: 5_000, what: 'the file' });
    await change(instance, (spec) => (spec.powerState = 'Stopped'));
    await until(instance, (status) => {
      assert.equal(status.phase, 'Stopped');
      assert.equal(ready(status)?.reason, 'Stopped');
    });
    await change(instance, (spec) => (spec.powerState = 'Running'));
    const { status } = await until(instance, isRunning);
    assert.equal(status?.restartCount, 0);
    assert.equal((await inspect(instance)).Id, id);
    await remove(instance);
  });

  async function changedFiles(id: string): Promise<string[]> {
    const changes = (await docker.getContainer(id).changes()) as { Path: string }[];
    return changes.map(({ Path }) => Path).filter((path) => path === '/kept');
  }

  it('makes a new container when the image changes, and says so in an event', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const before = await inspect(instance);
    await change(instance, (spec) => (spec.image = otherTestImage));
    await until(instance, (status) => {
      isRunning(status);
      assert.notEqual(status.containerID, `docker://${before.Id}`);
    });
    assert.equal((await inspect(instance)).Config.Image, otherTestImage);
    const { stdout } = await api.kubectl(['get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].reason}']);
    assert.match(stdout, /Recreating/);
    await remove(instance);
  });

  it('ends a batch instance Succeeded or Failed, and starts it never again', async () => {
    const good = await run({ command: ['true'], restartPolicy: 'Never' });
    const bad = await run({ command: ['sh', '-c', 'exit 7'], restartPolicy: 'Never' });
    await until(good, (status) => {
      assert.equal(status.phase, 'Succeeded');
      assert.equal(status.state?.terminated?.reason, 'Completed');
    });
    await until(bad, (status) => {
      assert.equal(status.phase, 'Failed');
      assert.equal(status.state?.terminated?.exitCode, 7);
    });
    await change(good, (spec) => (spec.image = otherTestImage));
    const again = await run({ command: ['true'], restartPolicy: 'Never' });
    await until(again, (status) => assert.equal(status.phase, 'Succeeded'));
    assert.equal((await get(good)).status?.phase, 'Succeeded');
    assert.equal((await inspect(good)).Config.Image, testImage);
    for (const instance of [good, bad, again]) await remove(instance);
  });

  it('restarts what ends, at once and then after a growing wait', async () => {
    const instance = await run({ command: ['sh', '-c', 'sleep 0.2; exit 3'] });
    const { status } = await until(instance, (now) => assert.equal(now.state?.waiting?.reason, 'CrashLoopBackOff'));
    assert.equal(status?.restartCount, 1);
    assert.equal(status.lastState?.terminated?.exitCode, 3);
    assert.equal(status.phase, 'Running');
    assert.match(ready(status)?.message ?? '', /exit code 3/);
    await remove(instance);
  });

  it('says OOMKilled of what exceeded its memory', async () => {
    const instance = await run({ command: ['sh', '-c', 'head -c 200m /dev/zero | tail'], restartPolicy: 'Never' });
    const { status } = await until(instance, (now) => assert.equal(now.phase, 'Failed'));
    assert.equal(status?.state?.terminated?.reason, 'OOMKilled');
    assert.equal(status.state.terminated.signal, 9);
    assert.equal(ready(status)?.reason, 'OOMKilled');
    await remove(instance);
  });

  it('tells within 2 s that a container died', async () => {
    const instance = await run({ restartPolicy: 'Never' });
    await until(instance, isRunning);
    const killedMs = performance.now();
    await docker.getContainer(containerName(instance.metadata.uid ?? '')).kill();
    await until(instance, (status) => assert.equal(status.phase, 'Failed'), 2_000);
    assert.ok(performance.now() - killedMs < 2_000);
    await remove(instance);
  });

  it('says that an image cannot be pulled, and starts when somebody brings it', async () => {
    const image = 'potluck-test/late:1';
    const instance = await run({ image });
    await until(instance, (status) => {
      assert.equal(ready(status)?.reason, 'ImagePullBackOff');
      assert.equal(status.conditions?.find(({ type }) => type === 'ImageReady')?.reason, 'ImagePullBackOff');
    });
    await importTestImage(dockerd.socketPath, image);
    await until(instance, isRunning);
    await remove(instance);
  });

  it('adopts what runs after its own restart', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const before = await inspect(instance);
    await stop();
    assert.equal((await inspect(instance)).State.Running, true);
    await start();
    const other = await run();
    await until(other, isRunning);
    const after = await inspect(instance);
    assert.equal(after.Id, before.Id);
    assert.equal(after.State.StartedAt, before.State.StartedAt);
    assert.equal((await get(instance)).status?.restartCount, 0);
    for (const each of [instance, other]) await remove(each);
  });

  it('goes on after a shutdown of the pool where it was, with the disk and without a restart counted', async () => {
    const instance = await run({ restartPolicy: 'Never', command: ['sh', '-c', 'echo x > /kept; exec sleep 1000'] });
    await until(instance, isRunning);
    const { Id: id } = await inspect(instance);
    await stop();
    const options = { home, socketPath: dockerd.socketPath, providerUid: provider.metadata.uid ?? '', logger: silentLogger };
    assert.equal(await stopInstances(options), 1);
    assert.equal((await inspect(instance)).State.Running, false);
    await start();
    const { status } = await until(instance, (now) => {
      isRunning(now);
      assert.notEqual(now.lastState, undefined);
    });
    assert.equal(status?.restartCount, 0);
    assert.equal(status.containerID, `docker://${id}`);
    await remove(instance);
  });

  it('removes what is no longer its own, and nothing of others', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const stranger = await docker.createContainer({ Image: testImage, Cmd: ['sleep', '1000'], Labels: { [instanceUidLabel]: 'x' } });
    await stop();
    await updateStatus(admin, instances, { namespace, name: instance.metadata.name ?? '' }, (draft) => {
      delete draft.status?.assignment;
    });
    await start();
    await eventually(() => assert.rejects(inspect(instance), { statusCode: 404 }), { timeoutMs: 10_000, what: 'the removal' });
    assert.ok((await stranger.inspect()).Id);
    await stranger.remove({ force: true });
    await updateObject(admin, instances, { namespace, name: instance.metadata.name ?? '' }, (draft) => {
      draft.metadata.finalizers = [];
    });
    await admin.delete(instances, { namespace, name: instance.metadata.name ?? '' });
  });

  it('goes on under a new epoch with the same container', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const { Id: id } = await inspect(instance);
    await bind(instance.metadata.name ?? '', 2);
    await until(instance, (status) => {
      isRunning(status);
      assert.equal(status.observedEpoch, 2);
    });
    assert.equal((await inspect(instance)).Id, id);
    await remove(instance);
  });

  it('keeps and restarts instances while the API is away, and tells the truth when it is back', async () => {
    const instance = await run();
    await until(instance, isRunning);
    await api.etcd.kill();
    const { Id: id } = await inspect(instance);
    await docker.getContainer(id).kill();
    const restarted = async (): Promise<void> => assert.equal((await inspect(instance)).State.Running, true);
    await eventually(restarted, { timeoutMs: 10_000, what: 'the restart' });
    await api.etcd.restart();
    await until(
      instance,
      (status) => {
        isRunning(status);
        assert.equal(status.restartCount, 1);
      },
      40_000,
    );
    await remove(instance);
  });

  it('tells the truth after dockerd died and came back', async () => {
    const survivor = await run();
    await until(survivor, isRunning);
    const before = await inspect(survivor);
    await dockerd.killHard();
    const late = await run();
    await dockerd.restart();
    await until(late, isRunning);
    await until(survivor, isRunning);
    assert.equal((await inspect(survivor)).State.StartedAt, before.State.StartedAt);
    for (const each of [survivor, late]) await remove(each);
  });

  it('says that the engine does not answer, and that it does again', async () => {
    const instance = await run();
    await until(instance, isRunning);
    await dockerd.killHard();
    await until(instance, (status) => {
      assert.equal(ready(status)?.status, 'Unknown');
      assert.equal(ready(status)?.reason, 'EngineUnavailable');
      assert.equal(status.phase, 'Running');
    });
    await dockerd.restart();
    await until(instance, isRunning);
    await remove(instance);
  });

  it('makes a damaged journal anew and restarts nothing for it', async () => {
    const instance = await run();
    await until(instance, isRunning);
    const before = await inspect(instance);
    await stop();
    const journal = join(home, 'agent', 'journal.json');
    assert.match(await readFile(journal, 'utf8'), new RegExp(instance.metadata.uid ?? '-'));
    await writeFile(journal, '{"version":1,"entr');
    await start();
    await eventually(async () => assert.match(await readFile(journal, 'utf8'), new RegExp(instance.metadata.uid ?? '-')), {
      timeoutMs: 10_000,
      what: 'the journal',
    });
    assert.equal((await inspect(instance)).State.StartedAt, before.State.StartedAt);
    await remove(instance);
  });

  it('leaves no container and no journal entry of what was deleted', async () => {
    const left = await docker.listContainers({ all: true });
    assert.deepEqual(left, []);
    await eventually(
      async () =>
        assert.deepEqual((JSON.parse(await readFile(join(home, 'agent', 'journal.json'), 'utf8')) as { entries: unknown[] }).entries, []),
      { timeoutMs: 10_000, what: 'the empty journal' },
    );
    await assert.rejects(admin.get(instances, { namespace, name: 'i1' }), isNotFound);
  });
});

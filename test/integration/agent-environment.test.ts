/** Environments from secrets and config maps: an agent with a provider's own rights between a real API server and a real dockerd. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { openPki } from '../../apiserver/access/pki.ts';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providerUser, providersGroup } from '../../api/names.ts';
import { configMaps, events, instances, providers, secrets } from '../../api/resource-type.ts';
import { ApiError } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startAgent } from '../../node-agent/agent.ts';
import type { Agent } from '../../node-agent/agent.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { createLogger } from '../../runtime/logger.ts';
import { updateObject, updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage } from '../support/image.ts';
import { instanceManifest } from '../support/manifests.ts';

const namespace = 'default';
const providerName = 'desktop';
const password = 'correct horse battery staple';

describe('environments from secrets and config maps', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let admin: KubeClient;
  let ownClient: KubeClient;
  let docker: Docker;
  let provider: Provider;
  let home: string;
  let agent: Agent;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-agent-'));
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
    docker = new Docker({ socketPath: dockerd.socketPath });
    await importTestImage(dockerd.socketPath);
    admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    provider = await admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: providerName },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } },
    });
    const providerUid = provider.metadata.uid ?? '';
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: [], now: Date.now });
    const subject = { commonName: providerUser(providerUid), organizations: [providersGroup] };
    const identity = await pki.issueClientCertificate({ ...subject, lifetimeMs: 86_400_000 });
    const kubeconfig = join(home, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: api.url, caPem: pki.caPem, ...identity, user: subject.commonName });
    ownClient = createClient({ kubeconfig, userAgent: 'potluck-agent' });
    // At its most talkative.
    const logger = createLogger({ component: 'agent', level: 'debug', format: 'json', file: join(home, 'agent.log') });
    agent = await startAgent({
      client: ownClient,
      providerName,
      providerUid,
      home,
      engine: { kind: 'socket', socketPath: dockerd.socketPath },
      logger,
    });
  });

  after(async () => {
    await agent.stop();
    ownClient.close();
    admin.close();
    await dockerd.stop();
    await api.stop();
    await rm(home, { recursive: true, force: true });
  });

  /** Creates an instance and binds it to this provider, as the scheduler would. */
  async function run(name: string, spec: Partial<Instance['spec']>): Promise<Instance> {
    const manifest = instanceManifest(name, { limits: { memory: '64Mi' } });
    const instance = await admin.create(instances, { ...manifest, spec: { ...manifest.spec, ...spec } });
    await updateStatus(admin, instances, { namespace, name }, (draft) => {
      const assignment = { providerName, providerUID: provider.metadata.uid ?? '', epoch: 1 };
      draft.status = { ...draft.status, phase: 'Assigned', assignment, lastEpoch: 1, hostname: `tests-desktop-${name}` };
    });
    return instance;
  }

  const get = (name: string): Promise<Instance> => admin.get(instances, { namespace, name });
  const readyOf = ({ status }: Instance): string | undefined => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' ? 'True' : `${ready?.reason}: ${ready?.message}`;
  };
  const until = (name: string, ready: string, timeoutMs = 20_000): Promise<Instance> =>
    eventually(
      async () => {
        const instance = await get(name);
        assert.equal(readyOf(instance), ready);
        return instance;
      },
      { timeoutMs, what: `${name} to be ${ready}` },
    );

  async function environmentOf({ metadata }: Instance): Promise<Record<string, string>> {
    const { Config: config } = await docker.getContainer(containerName(metadata.uid ?? '')).inspect();
    const pairs = config.Env.map(
      (variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)] as const,
    );
    return Object.fromEntries(pairs.filter(([name]) => name !== 'PATH'));
  }

  const secret = (name: string, data: Record<string, string>): Promise<unknown> =>
    admin.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace },
      data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
    });

  it('reach the container when it is made; a change of the secret counts when it is made anew', async () => {
    await secret('db', { password, user: 'toto' });
    await admin.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'app', namespace }, data: { COLOUR: 'red' } });
    const instance = await run('whole', {
      env: [
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
        { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
        { name: 'PLAIN', value: 'yes' },
      ],
      envFrom: [{ prefix: 'DB_', secretRef: { name: 'db' } }, { configMapRef: { name: 'app' } }],
    });
    await until('whole', 'True');
    const expected = { DB_password: password, DB_user: 'toto', COLOUR: 'red', PASSWORD: password, PLAIN: 'yes' };
    assert.deepEqual(await environmentOf(instance), expected);
    const before = (await get('whole')).status?.containerID;
    await admin.patch(secrets, { namespace, name: 'db' }, { data: { user: Buffer.from('titi').toString('base64') } });
    await updateObject(admin, instances, { namespace, name: 'whole' }, (draft) => {
      draft.spec.resources.limits = { memory: '96Mi' };
    });
    await eventually(
      async () => {
        const { HostConfig: host } = await docker.getContainer(containerName(instance.metadata.uid ?? '')).inspect();
        assert.equal(host.Memory, 96 * 1024 ** 2);
      },
      { timeoutMs: 10_000, what: 'the new limit, in the old container' },
    );
    assert.equal((await get('whole')).status?.containerID, before);
    assert.deepEqual(await environmentOf(instance), expected);
    await updateObject(admin, instances, { namespace, name: 'whole' }, (draft) => {
      draft.spec.env = [{ name: 'PLAIN', value: 'no' }];
    });
    await eventually(
      async () => assert.deepEqual(await environmentOf(instance), { DB_password: password, DB_user: 'titi', COLOUR: 'red', PLAIN: 'no' }),
      { timeoutMs: 30_000, what: 'the new container' },
    );
  });

  it('that are missing keep the container from being made, in the words of Kubernetes, until they are there', async () => {
    await run('late', { env: [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'late', key: 'password' } } }] });
    const waiting = await until('late', 'CreateContainerConfigError: secret "late" not found');
    assert.deepEqual(waiting.status?.state, { waiting: { reason: 'CreateContainerConfigError', message: 'secret "late" not found' } });
    await secret('late', { passwort: password });
    await until('late', "CreateContainerConfigError: couldn't find key password in Secret default/late");
    await admin.patch(secrets, { namespace, name: 'late' }, { data: { password: Buffer.from(password).toString('base64') } });
    assert.deepEqual(await environmentOf(await until('late', 'True', 40_000)), { PASSWORD: password });
  });

  it('are read with the provider’s own rights: what its instances name, and nothing else', async () => {
    await secret('private', { password });
    await assert.rejects(
      ownClient.get(secrets, { namespace, name: 'private' }),
      (error) => error instanceof ApiError && error.code === 403,
    );
    await assert.rejects(ownClient.list(secrets, { namespace }), (error) => error instanceof ApiError && error.code === 403);
    await ownClient.get(secrets, { namespace, name: 'db' });
  });

  it('leave no value in statuses, events, the journal or the log', async () => {
    const [all, { items }] = await Promise.all([admin.list(instances), admin.list(events)]);
    const journal = await readFile(join(home, 'agent', 'journal.json'), 'utf8');
    const said = await readFile(join(home, 'agent.log'), 'utf8');
    assert.ok(journal.includes(all.items[0]?.metadata.uid ?? 'none') && items.length > 0 && said.includes('step taken'));
    const written = JSON.stringify([all.items, items]) + journal + said;
    for (const secretText of [password, Buffer.from(password).toString('base64'), 'titi'])
      assert.ok(!written.includes(secretText), secretText);
  });
});

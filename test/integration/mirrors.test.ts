/** Instances as pods and providers as nodes: what both kubectls and informers see of them, over a real API server. */
import assert from 'node:assert/strict';
import { instances, providers } from '../../api/resource-type.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { createClient } from '../../client/kube-client.ts';
import { createInformer } from '../../client/kube-informer.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { runKubectl, startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { findOldKubectl } from '../support/old-kubectl.ts';

const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true } as const;
const time = '2026-01-01T00:00:00Z';

describe('the mirrors of instances and providers', function () {
  this.timeout(90_000);
  let api: TestApiServer;
  let client: KubeClient;
  let old: string;

  before(async () => {
    [api, old] = await Promise.all([startTestApiServer(), findOldKubectl()]);
    client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    await client.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: 'desktop', labels: { room: 'attic' } },
      spec: { owner: 'ann', offer: { cpu: '2', memory: '2Gi', disk: '1Gi' } },
    });
    await updateStatus(client, providers, { name: 'desktop' }, (draft) => {
      draft.status = {
        capacity: { cpu: '4', memory: '8Gi', disk: '10Gi' },
        allocatable: { cpu: '2', memory: '2Gi', disk: '1Gi' },
        systemInfo: {
          architecture: 'amd64',
          operatingSystem: 'Debian 12',
          kernelVersion: '6.1',
          engineVersion: 'docker 20',
          agentVersion: '0.1',
        },
        conditions: [{ type: 'Ready', status: 'True', reason: 'LeaseRenewed', message: '', lastTransitionTime: time }],
      };
    });
    await create('web', { app: 'web' });
    await run('web');
  });

  after(async () => {
    client.close();
    await api.stop();
  });

  function create(name: string, labels: Record<string, string> = {}): Promise<Instance> {
    const manifest = instanceManifest(name);
    return client.create(instances, { ...manifest, metadata: { ...manifest.metadata, labels } });
  }

  async function setStatus(name: string, status: NonNullable<Instance['status']>): Promise<void> {
    await updateStatus(client, instances, { namespace: 'default', name }, (draft) => {
      draft.status = { ...draft.status, ...status };
    });
  }

  async function run(name: string): Promise<void> {
    const { uid = '' } = (await client.get(providers, { name: 'desktop' })).metadata;
    await setStatus(name, {
      phase: 'Running',
      assignment: { providerName: 'desktop', providerUID: uid, epoch: 1 },
      containerID: 'docker://c1',
      restartCount: 2,
      state: { running: { startedAt: time } },
      conditions: [{ type: 'Ready', status: 'True', reason: 'Running', message: '', lastTransitionTime: time }],
    });
  }

  async function kubectls(...args: string[]): Promise<string[]> {
    const setting = { home: api.home, kubeconfigPath: api.kubeconfigPath };
    const outputs: string[] = [];
    for (const kubectl of ['kubectl', old]) {
      const { code, stdout, stderr } = await runKubectl({ ...setting, kubectl }, args);
      assert.equal(code, 0, `${kubectl} ${args.join(' ')}: ${stderr}`);
      outputs.push(stdout);
    }
    return outputs;
  }

  /** How many watch pods now. */
  async function watches(): Promise<number> {
    const { stdout } = await api.kubectl(['get', '--raw', '/metrics']);
    const line = stdout.split('\n').find((text) => text.startsWith('apiserver_longrunning_requests{') && text.includes('resource="pods"'));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  it('are listed in kubectl’s own columns', async () => {
    for (const output of await kubectls('get', 'pods', '-o', 'wide')) {
      assert.match(
        output,
        /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\nweb +1\/1 +Running +2 +\S+ +<none> +desktop/,
      );
    }
    for (const output of await kubectls('get', 'nodes', '-o', 'wide')) {
      assert.match(
        output,
        /^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP .*\ndesktop +Ready +<none> +\S+ +0\.1 +<none> +<none> +Debian 12 +6\.1 +docker 20/,
      );
    }
  });

  it('have the identity of what they show, and are found by labels and fields', async () => {
    const instance = await client.get(instances, { namespace: 'default', name: 'web' });
    const pod = await client.get<KubernetesObject>(pods, { namespace: 'default', name: 'web' });
    assert.deepEqual([pod.metadata.uid, pod.metadata.resourceVersion], [instance.metadata.uid, instance.metadata.resourceVersion]);
    for (const selector of [
      ['-l', 'app=web'],
      ['--field-selector', 'spec.nodeName=desktop,status.phase=Running'],
    ])
      for (const output of await kubectls('get', 'pods', ...selector, '-o', 'name')) assert.equal(output, 'pod/web\n');
    for (const output of await kubectls('get', 'pods', '--field-selector', 'status.phase=Pending', '-o', 'name')) assert.equal(output, '');
    for (const output of await kubectls('describe', 'pod', 'web'))
      assert.match(output, /Node: +desktop[^]*Status: +Running[^]*instance:\n[^]*Restart Count: +2/);
    for (const output of await kubectls('describe', 'node', 'desktop'))
      assert.match(output, /Capacity:\n +cpu: +4[^]*Non-terminated Pods: +\(1 in total\)[^]*web/);
  });

  it('can be waited for', async () => {
    for (const kubectl of ['kubectl', old]) {
      await create('later');
      const setting = { home: api.home, kubeconfigPath: api.kubeconfigPath, kubectl };
      const waiting = runKubectl(setting, ['wait', '--for=condition=Ready', 'pod/later', '--timeout=20s']);
      await run('later');
      const { stdout, stderr } = await waiting;
      assert.match(stdout, /pod\/later condition met/, stderr);
      const gone = runKubectl(setting, ['wait', '--for=delete', 'pod/later', '--timeout=20s']);
      await eventually(async () => assert.equal(await watches(), 1), { timeoutMs: 10_000, what: 'kubectl to watch' });
      await client.delete(instances, { namespace: 'default', name: 'later' });
      assert.equal((await gone).code, 0, (await gone).stderr);
    }
  });

  it('are followed by an informer, through a selector on what only the mirror has', async () => {
    const informer = createInformer<KubernetesObject>(client, pods, { fieldSelector: 'status.phase=Running', logger: silentLogger });
    const seen: string[] = [];
    informer.onChange((_key, object, previous) => {
      const { metadata } = object ?? previous ?? { metadata: { name: '' } };
      if (metadata.name === 'moving') seen.push(object === undefined ? 'gone' : previous === undefined ? 'here' : 'changed');
    });
    informer.start();
    await informer.whenSynced();
    const expect = (lines: string[]): Promise<unknown> =>
      eventually(() => assert.deepEqual(seen, lines), { timeoutMs: 5_000, what: lines.join(', ') });
    try {
      await create('moving');
      await run('moving');
      await expect(['here']);
      await setStatus('moving', { restartCount: 3 });
      await expect(['here', 'changed']);
      await setStatus('moving', { phase: 'Stopped' });
      await expect(['here', 'changed', 'gone']);
      await run('moving');
      await expect(['here', 'changed', 'gone', 'here']);
      await client.delete(instances, { namespace: 'default', name: 'moving' });
      await expect(['here', 'changed', 'gone', 'here', 'gone']);
    } finally {
      await informer.stop();
    }
  });

  it('say why something does not run', async () => {
    await create('idle');
    const conditions = [{ type: 'Ready', status: 'False' as const, reason: 'Stopped', message: 'It is stopped', lastTransitionTime: time }];
    await setStatus('idle', { phase: 'Stopped', state: { terminated: { exitCode: 0, reason: 'Completed' } }, conditions });
    for (const output of await kubectls('get', 'pod', 'idle')) assert.match(output, /idle +0\/1 +Stopped +0/);
    for (const output of await kubectls('get', 'pod', 'idle', '-o', 'jsonpath={.status.reason}: {.status.message}'))
      assert.equal(output, 'Stopped: It is stopped');
    await client.delete(instances, { namespace: 'default', name: 'idle' });
  });

  it('are not written', async () => {
    const attempts = [
      ['delete', 'pod', 'web'],
      ['label', 'pod', 'web', 'a=b'],
      ['annotate', 'node', 'desktop', 'a=b'],
      ['run', 'new', '--image=debian'],
    ];
    for (const args of attempts) {
      const { code, stderr } = await api.kubectl(args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, /the server does not allow this method on the requested resource/, args.join(' '));
    }
  });

  it('say so when nobody is there who could open a stream', async () => {
    for (const args of [
      ['exec', 'web', '--', 'true'],
      ['logs', 'web'],
      ['attach', 'web'],
      ['port-forward', 'web', '0:80'],
    ]) {
      const { code, stderr } = await api.kubectl(args);
      assert.equal(code, 1, args.join(' '));
      assert.match(stderr, /the backend "gateway" is not configured/, args.join(' '));
    }
  });
});

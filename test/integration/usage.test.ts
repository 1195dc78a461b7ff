/** What instances use, from the kernel's files to `kubectl top`, over a real API server and a real dockerd. */
import assert from 'node:assert/strict';
import { instanceLabel } from '../../api/names.ts';
import { providers } from '../../api/resource-type.ts';
import { parseQuantity, quantityToNumber } from '../../api/quantity.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { readBtrfsUsage } from '../../node-agent/usage/btrfs-disk-usage.ts';
import { BoundAgent } from '../support/bound-agent.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, testImage } from '../support/image.ts';

const metrics = '/apis/metrics.k8s.io/v1beta1';

function amount(text: string | number | undefined): number {
  return text === undefined ? Number.NaN : quantityToNumber(parseQuantity(text));
}

describe('usage', function () {
  this.timeout(90_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let agent: BoundAgent;

  before(async () => {
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd({ storageDriver: 'btrfs' })]);
    await importTestImage(dockerd.socketPath);
    const settings = {
      engine: { kind: 'socket' as const, socketPath: dockerd.socketPath },
      metricsListen: { host: '127.0.0.1', port: 0 },
      usageIntervalMs: 1_000,
    };
    agent = await BoundAgent.start(api, 'desktop', settings, { offer: { cpu: '2', memory: '2Gi', disk: '1Gi' } });
    // Half a core, and 40 MiB of memory that is in use: a file on a tmpfs counts as such.
    const busy = 'head -c 40m /dev/zero > /dev/shm/m; head -c 55m /dev/zero > /f; sync; while :; do :; done';
    const resources = {
      requests: { cpu: '250m', memory: '64Mi', disk: '64Mi' },
      limits: { cpu: '500m', memory: '128Mi', disk: '64Mi', pids: '64' },
    };
    await agent.create('busy', { image: testImage, command: ['sh', '-c', busy], resources }, { app: 'web' });
    await agent.create('idle', { image: testImage }, { app: 'db' });
    await Promise.all(['busy', 'idle'].map((name) => agent.bind(name, 1)));
    for (const name of ['busy', 'idle'])
      await agent.until(name, ({ usage }) => assert.ok(usage?.['cpu'] !== undefined && usage['disk'] !== undefined), 60_000);
  });

  after(async () => {
    await agent.stop();
    await dockerd.stop();
    await api.stop();
  });

  async function kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await api.kubectl(args);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function raw(path: string): Promise<Record<string, unknown>> {
    return JSON.parse(await kubectl('get', '--raw', `${metrics}${path}`)) as Record<string, unknown>;
  }

  const namesOf = (list: Record<string, unknown>): unknown[] =>
    (list['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);

  it('of CPU, memory and disk is in the status, near what is truly used', async () => {
    const { status } = await agent.until(
      'busy',
      ({ usage }) => {
        // Less than its limit where the machine is busy.
        assert.ok(amount(usage?.['cpu']) > 0.1 && amount(usage?.['cpu']) < 0.56, 'about half a core');
        assert.ok(amount(usage?.['memory']) > 40 * 1024 ** 2 && amount(usage?.['memory']) < 60 * 1024 ** 2, '40 MiB and a little');
        assert.ok(Math.abs(amount(usage?.['disk']) / 1024 ** 2 - 55) < 3, '55 MiB written');
      },
      60_000,
    );
    assert.match(status?.usageWindow ?? '', /^\d+s$/);
    assert.ok(Math.abs(Date.parse(status?.usageMeasuredAt ?? '') - Date.now()) < 70_000);
    const idle = (await agent.get('idle')).status?.usage;
    assert.ok(amount(idle?.['cpu']) < 0.05 && amount(idle?.['memory']) < 20 * 1024 ** 2, JSON.stringify(idle));
  });

  it('of a disk is what the quota groups of btrfs say', async () => {
    const engine = createDockerEngine(dockerd.socketPath);
    const containers = await engine.listContainers(agent.uid);
    const busy = containers.find(({ labels }) => labels[instanceLabel] === 'default/busy');
    const { dataRoot } = await engine.info();
    const found = await readBtrfsUsage(
      dataRoot,
      containers.map(({ id }) => id),
    );
    const [walked = 0, counted = 0] = [await engine.diskUsage(busy?.id ?? ''), found?.get(busy?.id ?? '')];
    assert.ok(Math.abs(walked - counted) < 3 * 1024 ** 2, `${walked} by walking, ${counted} by quota groups`);
  });

  it('of a disk that is nearly full is a condition and an event', async () => {
    const { status } = await agent.until('busy', ({ conditions }) => {
      assert.equal(conditions?.find(({ type }) => type === 'DiskPressure')?.status, 'True');
    });
    assert.match(status?.conditions?.find(({ type }) => type === 'DiskPressure')?.message ?? '', /has written 5\d of the 64 MiB/);
    assert.equal(
      (await agent.get('idle')).status?.conditions?.some(({ type }) => type === 'DiskPressure'),
      false,
    );
    await eventually(
      async () => assert.match(await kubectl('get', 'events', '--field-selector=reason=DiskAlmostFull'), /Warning .*instance\/busy/),
      { timeoutMs: 10_000, what: 'the event' },
    );
  });

  it('of all instances together is on the Provider', async () => {
    await eventually(
      async () => {
        const { status } = await agent.admin.get(providers, { name: 'desktop' });
        assert.ok(amount(status?.used?.['cpu']) > 0.1 && amount(status?.used?.['cpu']) < 0.65, JSON.stringify(status?.used));
        assert.ok(amount(status?.used?.['memory']) > 40 * 1024 ** 2);
        assert.ok(amount(status?.used?.['disk']) > 50 * 1024 ** 2);
      },
      { timeoutMs: 70_000, what: "the provider's usage" },
    );
    assert.match(await kubectl('get', 'providers', '-o', 'wide'), /CPU LEFT +CPU USED +MEMORY LEFT +MEMORY USED +DISK LEFT +DISK USED/);
  });

  it('of a provider is its own word, but not what is reserved of it', async () => {
    const { stderr } = await api.kubectl([
      ...['patch', 'provider', 'desktop', '--subresource=status', '--type=merge', `--as=system:provider:${agent.uid}`],
      ...['--as-group=system:providers', '-p', '{"status":{"reserved":{"cpu":"0"}}}'],
    ]);
    assert.match(stderr, /only the controller writes status\.reserved and status\.left/);
  });

  it('has an offer above what is there cut, and that said', async () => {
    const offer = (cpu: string): Promise<string> =>
      kubectl('patch', 'provider', 'desktop', '--type=merge', '-p', JSON.stringify({ spec: { offer: { cpu } } }));
    const untilCondition = (status: string): Promise<void> =>
      eventually(
        async () => {
          const provider = await agent.admin.get(providers, { name: 'desktop' });
          const condition = provider.status?.conditions?.find(({ type }) => type === 'OfferWithinCapacity');
          assert.deepEqual([condition?.status, condition?.observedGeneration], [status, provider.metadata.generation]);
          if (status === 'False') assert.match(condition?.message ?? '', /can give only \d+ of the 4096 cpu/);
          assert.ok(amount(provider.status?.allocatable?.['cpu']) < 4096);
        },
        { timeoutMs: 20_000, what: `OfferWithinCapacity to be ${status}` },
      );
    await offer('4096');
    await untilCondition('False');
    await eventually(async () => assert.match(await kubectl('get', 'events', '--field-selector=reason=OfferCut'), /provider\/desktop/), {
      timeoutMs: 10_000,
      what: 'the event',
    });
    await offer('2');
    await untilCondition('True');
  });

  it('is served to Prometheus under the names of cAdvisor', async () => {
    const text = await (await fetch(`http://127.0.0.1:${agent.metricsPort}/metrics`)).text();
    const value = (name: string, ...labels: string[]): number => {
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      const line = lines.find((each) => labels.every((label) => each.includes(label)));
      assert.ok(line !== undefined, `${name} ${labels.join(' ')} in:\n${lines.join('\n')}`);
      return Number(line.slice(line.lastIndexOf(' ')));
    };
    const busy = ['namespace="default"', 'pod="busy"', 'container="instance"'];
    assert.ok(value('container_cpu_usage_seconds_total', 'cpu="total"', ...busy) > 0.5);
    assert.ok(value('container_memory_working_set_bytes', ...busy) > 40 * 1024 ** 2);
    assert.equal(value('container_spec_memory_limit_bytes', ...busy), 128 * 1024 ** 2);
    assert.equal(value('container_spec_cpu_quota', ...busy), 50_000);
    assert.ok(value('container_fs_usage_bytes', ...busy) > 50 * 1024 ** 2);
    assert.equal(value('container_fs_limit_bytes', ...busy), 64 * 1024 ** 2);
    assert.ok(value('container_network_receive_bytes_total', 'interface="eth0"', 'pod="idle"') >= 0);
    assert.ok(value('machine_cpu_cores', 'machine_id=') >= 1);
    assert.ok(value('machine_memory_bytes', 'boot_id=') > 2 ** 28);
    assert.equal(value('potluck_agent_instances', 'phase="Running"'), 2);
    assert.ok(value('potluck_provider_allocatable', 'resource="cpu"') > 0);
    assert.ok(value('controller_runtime_reconcile_total', 'controller="instance-convergence"') > 0);
    assert.match(text, /^# TYPE container_cpu_usage_seconds_total counter$/m);
    assert.match(text, /^process_resident_memory_bytes \d+/m);
  });

  describe('by the metrics API', () => {
    it('is discovered', async () => {
      assert.match(await kubectl('api-versions'), /^metrics\.k8s\.io\/v1beta1$/m);
      const listed = await kubectl('api-resources', '--api-group=metrics.k8s.io', '--no-headers', '-o', 'wide');
      assert.match(listed, /nodes +metrics\.k8s\.io\/v1beta1 +false +NodeMetrics +\[?get,? ?list\]?/);
      assert.match(listed, /pods +metrics\.k8s\.io\/v1beta1 +true +PodMetrics +\[?get,? ?list\]?/);
    });

    it('has instances as PodMetrics: by name, by namespace, by label', async () => {
      const one = await raw('/namespaces/default/pods/busy');
      assert.deepEqual([one['kind'], one['apiVersion']], ['PodMetrics', 'metrics.k8s.io/v1beta1']);
      const [container] = one['containers'] as { name: string; usage: Record<string, string> }[];
      assert.equal(container?.name, 'instance');
      assert.deepEqual(Object.keys(container.usage), ['cpu', 'memory']);
      assert.deepEqual(namesOf(await raw('/pods')), ['busy', 'idle']);
      assert.deepEqual(namesOf(await raw('/namespaces/default/pods')), ['busy', 'idle']);
      assert.deepEqual(namesOf(await raw('/namespaces/kube-system/pods')), []);
      assert.deepEqual(namesOf(await raw('/pods?labelSelector=app%3Dweb')), ['busy']);
      assert.deepEqual(namesOf(await raw('/pods?fieldSelector=metadata.name%3Didle')), ['idle']);
      assert.match((await api.kubectl(['get', '--raw', `${metrics}/namespaces/default/pods/none`])).stderr, /NotFound/);
    });

    it('has providers as NodeMetrics', async () => {
      const one = await raw('/nodes/desktop');
      assert.deepEqual([one['kind'], Object.keys(one['usage'] as object)], ['NodeMetrics', ['cpu', 'memory']]);
      assert.match(String(one['window']), /^\d+s$/);
      assert.deepEqual(namesOf(await raw('/nodes')), ['desktop']);
    });

    it('cannot be written or watched', async () => {
      assert.match((await api.kubectl(['delete', 'pods.metrics.k8s.io', 'busy'])).stderr, /MethodNotAllowed|does not allow this method/);
      assert.match(
        (await api.kubectl(['get', '--raw', `${metrics}/pods?watch=true`])).stderr,
        /MethodNotAllowed|does not allow this method/,
      );
    });

    it('is open to who may see a namespace, and to nobody else', async () => {
      await kubectl('create', 'rolebinding', 'viewer', '--clusterrole=view', '--user=ann', '-n', 'default');
      await eventually(async () => assert.match(await kubectl('get', 'pods.metrics.k8s.io', '--as=ann'), /busy/), {
        timeoutMs: 5_000,
        what: 'the binding to be in force',
      });
      assert.match((await api.kubectl(['get', 'pods.metrics.k8s.io', '-A', '--as=ann'])).stderr, /Forbidden/);
      assert.match((await api.kubectl(['get', 'pods.metrics.k8s.io', '--as=bob'])).stderr, /Forbidden/);
    });

    it('is what kubectl top pods shows', async () => {
      const top = await kubectl('top', 'pods', '--containers');
      assert.match(top, /POD +NAME +CPU\(cores\) +MEMORY\(bytes\)/);
      assert.match(top, /busy +instance +\d+m +\d+Mi/);
      assert.match(await kubectl('top', 'pods', '-l', 'app=db'), /^NAME.*\nidle +\d+m +\d+Mi *\n$/);
    });

    it('of an instance that stopped is its disk alone, and it is no PodMetrics any more', async () => {
      await kubectl('patch', 'instance', 'idle', '--type=merge', '-p', '{"spec":{"powerState":"Stopped"}}');
      await agent.until('idle', ({ phase, usage }) => {
        assert.equal(phase, 'Stopped');
        assert.deepEqual(Object.keys(usage ?? {}), ['disk']);
      });
      assert.deepEqual(namesOf(await raw('/pods')), ['busy']);
    });
  });
});

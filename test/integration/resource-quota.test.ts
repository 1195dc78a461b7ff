/** Quotas over a real API server, etcd and controller. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Instance } from '../../api/generated/instance.ts';
import type { ResourceQuota } from '../../api/resource-type.ts';
import type { Status } from '../../api/status.ts';
import { startApiServer } from '../../apiserver/api-server.ts';
import type { ApiServer } from '../../apiserver/api-server.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startController } from '../../controller/reconcilers.ts';
import type { RunningController } from '../../controller/reconcilers.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import type { Credentials, RawAnswer } from '../support/https-request.ts';
import { rawRequest, readCredentials } from '../support/https-request.ts';

describe('resource quotas', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: Credentials;
  let client: KubeClient;
  let controller: RunningController;
  let second: ApiServer;

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
    client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    controller = await startController({ client, logger: silentLogger, identity: 'test', leaderElection: false });
    // Another server over the same etcd and the same certificates; the kubeconfig that it writes is not read any more.
    second = await startApiServer({
      etcd: { endpoints: [api.etcd.endpoint] },
      listen: { host: '127.0.0.1', port: 0 },
      home: api.home,
      logger: silentLogger,
    });
  });
  after(async () => {
    await controller.stop();
    client.close();
    await second.stop();
    await api.stop();
  });

  const send = (method: string, path: string, body?: object, server = api.url): Promise<RawAnswer> =>
    rawRequest(`${server}${path}`, admin, {
      method,
      headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const messageOf = ({ json }: RawAnswer): string => (json as unknown as Status).message ?? '';
  const made = async (path: string, body: object): Promise<void> => {
    const answer = await send('POST', path, body);
    assert.equal(answer.code, 201, answer.body.toString());
  };
  const configMap = (name: string): object => ({ metadata: { name } });

  async function newNamespace(): Promise<string> {
    const name = `n-${randomUUID().slice(0, 8)}`;
    await made('/api/v1/namespaces', { metadata: { name } });
    return name;
  }

  const quotaPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/resourcequotas`;
  const mapsPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;
  const instancesPath = (namespace: string): string => `/apis/potluck.dev/v1alpha1/namespaces/${namespace}/instances`;

  async function quotaOf(namespace: string): Promise<ResourceQuota> {
    return (await send('GET', `${quotaPath(namespace)}/q`)).json as unknown as ResourceQuota;
  }

  const usedIs = (namespace: string, used: object, timeoutMs = 10_000): Promise<void> =>
    eventually(
      async () => {
        assert.deepEqual((await quotaOf(namespace)).status?.used, used);
      },
      { timeoutMs, intervalMs: 20, what: `the quota to say ${JSON.stringify(used)}` },
    );

  async function newQuota(namespace: string, hard: Record<string, string | number>): Promise<void> {
    await made(quotaPath(namespace), { metadata: { name: 'q' }, spec: { hard } });
    await eventually(
      async () => {
        const { status } = await quotaOf(namespace);
        assert.equal(Object.keys(status?.used ?? {}).length, Object.keys(hard).length);
      },
      { timeoutMs: 6_000, intervalMs: 10, what: 'the quota to be counted' },
    );
  }

  const instance = (name: string, requests: object, limits: object = {}): object => ({
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name },
    spec: { image: 'debian:12', resources: { requests, limits } },
  });

  it('refuse what is too much in the words of Kubernetes, and show what is used', async () => {
    const namespace = await newNamespace();
    await made(mapsPath(namespace), configMap('c0'));
    await newQuota(namespace, { 'count/configmaps': '2' });
    assert.deepEqual((await quotaOf(namespace)).status, { hard: { 'count/configmaps': '2' }, used: { 'count/configmaps': '1' } });
    await made(mapsPath(namespace), configMap('c1'));
    const refused = await send('POST', mapsPath(namespace), configMap('c2'));
    assert.deepEqual(refused.json, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'configmaps "c2" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=2, limited: count/configmaps=2',
      reason: 'Forbidden',
      details: { name: 'c2', kind: 'configmaps' },
      code: 403,
    });
    assert.equal((await send('POST', `${mapsPath(namespace)}?dryRun=All`, configMap('c2'))).code, 403);
    const { stdout } = await api.kubectl(['get', 'quota', '-n', namespace]);
    assert.match(stdout, /^NAME +REQUEST +LIMIT +AGE\nq +count\/configmaps: 2\/2 +\d+s/u);
    await send('DELETE', `${mapsPath(namespace)}/c0`);
    await usedIs(namespace, { 'count/configmaps': '1' });
    await made(mapsPath(namespace), configMap('c2'));
  });

  it('are never exceeded by twenty racers on two servers', async () => {
    const namespace = await newNamespace();
    await newQuota(namespace, { configmaps: 7, 'count/configmaps': 9 });
    const servers = [api.url, second.url];
    const racers = Array.from({ length: 20 }, (_, index) => send('POST', mapsPath(namespace), configMap(`r${index}`), servers[index % 2]));
    const answers = await Promise.all(racers);
    const codes = answers.map(({ code }) => code).sort();
    assert.deepEqual(codes, [...Array<number>(7).fill(201), ...Array<number>(13).fill(403)]);
    const { items } = (await send('GET', mapsPath(namespace))).json as unknown as { items: unknown[] };
    assert.equal(items.length, 7);
    assert.deepEqual((await quotaOf(namespace)).status?.used, { configmaps: '7', 'count/configmaps': '7' });
  });

  it('stay true while objects come and go on two servers', async () => {
    const namespace = await newNamespace();
    await newQuota(namespace, { configmaps: '5' });
    const servers = [api.url, second.url];
    let most = 0;
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) {
        const { items } = (await send('GET', mapsPath(namespace))).json as unknown as { items: unknown[] };
        most = Math.max(most, items.length);
      }
    })();
    const churn = async (worker: number): Promise<void> => {
      for (let round = 0; round < 12; round += 1) {
        const name = `w${worker}-${round}`;
        const server = servers[(worker + round) % 2];
        const { code } = await send('POST', mapsPath(namespace), configMap(name), server);
        assert.ok(code === 201 || code === 403, String(code));
        if (code === 201) await send('DELETE', `${mapsPath(namespace)}/${name}`, undefined, server);
        else await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, worker) => churn(worker)));
    over.abort();
    await watching;
    assert.ok(most <= 5, `there were ${most}`);
    await usedIs(namespace, { configmaps: '0' });
  });

  it('sum what a definition says of its objects, also when they change', async () => {
    const namespace = await newNamespace();
    await newQuota(namespace, {
      'requests.cpu': '2',
      'requests.memory': '4Gi',
      'limits.memory': '8Gi',
      'count/instances.potluck.dev': '3',
    });
    await made(instancesPath(namespace), instance('a', { cpu: '500m', memory: '1Gi' }, { memory: '2Gi' }));
    await made(instancesPath(namespace), instance('b', { cpu: '1', memory: '1Gi' }, { memory: '2Gi' }));
    const used = { 'count/instances.potluck.dev': '2', 'limits.memory': '4Gi', 'requests.cpu': '1500m', 'requests.memory': '2Gi' };
    assert.deepEqual((await quotaOf(namespace)).status?.used, used);
    const refused = await send('POST', instancesPath(namespace), instance('c', { cpu: '1', memory: '3Gi' }, { memory: '3Gi' }));
    assert.equal(
      messageOf(refused),
      'instances.potluck.dev "c" is forbidden: exceeded quota: q, requested: requests.cpu=1,requests.memory=3Gi, ' +
        'used: requests.cpu=1500m,requests.memory=2Gi, limited: requests.cpu=2,requests.memory=4Gi',
    );
    const unsaid = await send('POST', instancesPath(namespace), instance('c', { cpu: '100m', memory: '1Gi' }));
    assert.match(messageOf(unsaid), /is forbidden: failed quota: q: must specify limits\.memory$/u);
    const grow = (cpu: string): Promise<RawAnswer> =>
      send('PATCH', `${instancesPath(namespace)}/a`, { spec: { resources: { requests: { cpu } } } });
    assert.match(messageOf(await grow('1500m')), /requested: requests\.cpu=1, used: requests\.cpu=1500m, limited: requests\.cpu=2$/u);
    assert.equal((await grow('1')).code, 200);
    assert.equal((await quotaOf(namespace)).status?.used?.['requests.cpu'], '2');
    assert.equal((await grow('250m')).code, 200);
    await usedIs(namespace, { ...used, 'requests.cpu': '1250m' });
    const stored = (await send('GET', `${instancesPath(namespace)}/a`)).json as unknown as Instance;
    assert.equal(stored.spec.resources.requests['cpu'], '250m');
  });

  it('lose nothing to writes that do not happen', async () => {
    const namespace = await newNamespace();
    await newQuota(namespace, { configmaps: '2' });
    await made(mapsPath(namespace), configMap('a'));
    for (let round = 0; round < 5; round += 1) assert.equal((await send('POST', mapsPath(namespace), configMap('a'))).code, 409);
    assert.equal((await send('POST', mapsPath(namespace), { metadata: { name: 'UPPER' } })).code, 422);
    assert.equal((await send('POST', `${mapsPath(namespace)}?dryRun=All`, configMap('b'))).code, 201);
    assert.deepEqual((await quotaOf(namespace)).status?.used, { configmaps: '1' });
  });

  it('that nobody has counted yet let nothing through', async () => {
    const namespace = await newNamespace();
    await newQuota(namespace, { configmaps: '2' });
    await controller.stop();
    try {
      assert.equal((await send('PATCH', `${quotaPath(namespace)}/q`, { spec: { hard: { secrets: '1' } } })).code, 200);
      const refused = await send('POST', `/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: 's' } });
      assert.equal(messageOf(refused), 'secrets "s" is forbidden: status unknown for quota: q, resources: secrets');
      // A bound that was lowered counts at once.
      await made(mapsPath(namespace), configMap('a'));
      assert.equal((await send('PATCH', `${quotaPath(namespace)}/q`, { spec: { hard: { configmaps: '1' } } })).code, 200);
      assert.equal((await send('POST', mapsPath(namespace), configMap('b'))).code, 403);
    } finally {
      controller = await startController({ client, logger: silentLogger, identity: 'again', leaderElection: false });
    }
    await usedIs(namespace, { configmaps: '1', secrets: '0' });
    await made(`/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: 's' } });
  });

  it('are checked when they are written', async () => {
    const namespace = await newNamespace();
    const refused = await send('POST', quotaPath(namespace), {
      metadata: { name: 'q' },
      spec: { hard: { configmaps: '-1', secrets: '500m', 'requests.cpu': 'much' } },
    });
    const fields = (refused.json as unknown as Status).details?.causes?.map(({ field }) => field);
    assert.deepEqual(fields, ['spec.hard[configmaps]', 'spec.hard[secrets]', 'spec.hard[requests.cpu]']);
    const definition = await send('GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/instances.potluck.dev');
    assert.equal(definition.code, 200);
    const broken = await send('PATCH', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/instances.potluck.dev', {
      metadata: { annotations: { 'potluck.dev/quota-amounts': '{"requests": "spec"}' } },
    });
    assert.equal(broken.code, 422);
    assert.match(messageOf(broken), /the path of "requests" must be of the form \.spec\.some\.map/u);
  });
});

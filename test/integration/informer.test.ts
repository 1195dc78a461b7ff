import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namespaces } from '../../api/resource-type.ts';
import type { Namespace } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { loadKubeconfig } from '../../client/kubeconfig.ts';
import { createInformer } from '../../client/kube-informer.ts';
import { startEtcd } from '../support/etcd.ts';
import type { TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startPotluck } from '../support/processes.ts';
import type { TestProcess } from '../support/processes.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';

const within = (what: string): { what: string; timeoutMs: number } => ({ what, timeoutMs: 30_000 });

describe('the informer on a real API server and etcd', function () {
  this.timeout(120_000);
  let home: string;
  let etcd: TestEtcd;
  let api: TestProcess;
  let proxy: TcpProxy;
  /** Goes to the server directly. */
  let client: KubeClient;
  /** Goes through the proxy. */
  let watcher: KubeClient;
  let informer: Informer<Namespace>;
  /** What the changes that were told add up to. */
  let mirror: Map<string, string | undefined>;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-informer-'));
    etcd = await startEtcd({ unsafeNoFsync: true });
    const address = `127.0.0.1:${await freePort()}`;
    const args = ['server', '--components=api', '--listen', address, '--etcd-servers', etcd.endpoint, '--home', home];
    api = await startPotluck('api', args, join(home, 'logs/api.log'));
    const kubeconfig = join(home, 'kubeconfig');
    await eventually(() => readFile(kubeconfig), within('the kubeconfig'));
    proxy = await startTcpProxy(`http://${address}`);
    const config = await loadKubeconfig(kubeconfig);
    const [cluster] = config.clusters;
    const server = proxy.endpoint.replace('http:', 'https:');
    client = createClient({ kubeconfig: config, userAgent: 'potluck-test/1' });
    watcher = createClient({ kubeconfig: { ...config, clusters: [{ ...cluster!, server }] }, userAgent: 'potluck-test/1' });
    await eventually(() => client.list(namespaces), within('the API server'));
  });

  after(async () => {
    client.close();
    watcher.close();
    await proxy.close();
    await api.stop();
    await etcd.stop();
    await rm(home, { recursive: true });
  });

  beforeEach(async () => {
    mirror = new Map();
    const logger = { debug: () => undefined, warn: () => undefined, error: () => assert.fail('a handler failed') };
    informer = createInformer(watcher, namespaces, { logger, idleTimeoutMs: 2_000 });
    informer.onChange((key, object, previous) => {
      assert.equal(mirror.has(key), previous !== undefined, `a change of ${key} does not follow from the ones before`);
      assert.equal(mirror.get(key), previous?.metadata.uid);
      if (object === undefined) mirror.delete(key);
      else mirror.set(key, object.metadata.uid);
    });
    informer.start();
    await informer.whenSynced();
  });

  afterEach(async () => {
    proxy.restore();
    await informer.stop();
  });

  const create = (name: string): Promise<Namespace> =>
    client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

  /** Deletes for good: a namespace keeps its finalizer until a controller emptied it, and none runs here. */
  async function remove(name: string): Promise<void> {
    await client.delete(namespaces, { name });
    const finalize = `/api/v1/namespaces/${name}/finalize`;
    const left = await client.get(namespaces, { name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (left !== undefined) await client.request('PUT', finalize, { ...left, spec: { ...left.spec, finalizers: [] } });
    await assert.rejects(client.get(namespaces, { name }), isNotFound);
  }

  async function assertTrue(what: string): Promise<void> {
    await eventually(async () => {
      const { items } = await client.list(namespaces);
      const stored = items.map(({ metadata }) => `${metadata.name ?? ''} ${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`).sort();
      const copied = informer
        .list()
        .map(({ metadata }) => `${metadata.name ?? ''} ${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`);
      assert.deepEqual(copied.sort(), stored);
      assert.deepEqual([...mirror.keys()].sort(), items.map(({ metadata }) => metadata.name).sort());
    }, within(what));
  }

  it('is true again after the API server was killed in the middle of 20 creations', async () => {
    const creations = Array.from({ length: 20 }, async (_, index) => {
      const name = `killed-${index}`;
      await eventually(async () => {
        await create(name).catch(async (error: unknown) => {
          await client.get(namespaces, { name }).catch(() => {
            throw error;
          });
        });
      }, within(name));
    });
    await api.killHard();
    api.restart();
    await Promise.all(creations);
    await assertTrue('the copy after the kill');
    assert.ok(mirror.has('killed-19'));
  });

  it('tells of what was deleted, changed and created while it was cut off, also when etcd was compacted and both were restarted', async () => {
    await create('doomed');
    await create('twice');
    await assertTrue('the copy before the cut');
    const before = mirror.get('twice');
    proxy.cut();
    await remove('doomed');
    await remove('twice');
    await create('twice');
    await create('newcomer');
    await compact(etcd);
    await etcd.restart();
    await api.killHard();
    api.restart();
    await eventually(() => client.list(namespaces), within('the API server'));
    assert.ok(mirror.has('doomed'));
    proxy.restore();
    await assertTrue('the copy after the cut');
    assert.deepEqual([mirror.has('doomed'), mirror.has('newcomer'), mirror.get('twice') === before], [false, true, false]);
  });

  it('notices that its connection fell silent', async () => {
    proxy.silenceOpenConnections();
    const { metadata } = await create('unheard');
    await informer.whenReached(metadata.resourceVersion!, 30_000);
    assert.ok(mirror.has('unheard'));
  });

  it('reads its own writes by their version', async () => {
    for (let index = 0; index < 20; index += 1) {
      const { metadata } = await create(`own-${index}`);
      await informer.whenReached(metadata.resourceVersion!, 10_000);
      assert.equal(informer.get(`own-${index}`)?.metadata.uid, metadata.uid);
    }
  });

  it('outlives etcd being killed and started again', async () => {
    await etcd.kill();
    await etcd.restart();
    await eventually(() => create('after-etcd'), within('a write after the restart'));
    await assertTrue('the copy after the restart of etcd');
  });
});

async function compact(etcd: TestEtcd): Promise<void> {
  const post = async (path: string, body: unknown): Promise<{ header?: { revision?: string } }> => {
    const response = await fetch(`${etcd.endpoint}${path}`, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(response.status, 200);
    return (await response.json()) as { header?: { revision?: string } };
  };
  const { header } = await post('/v3/kv/range', { key: Buffer.from('/').toString('base64') });
  await post('/v3/kv/compaction', { revision: header?.revision, physical: true });
}

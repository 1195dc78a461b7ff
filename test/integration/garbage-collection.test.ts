import assert from 'node:assert/strict';
import type { OwnerReference } from '../../api/object.ts';
import type { Namespace } from '../../api/resource-type.ts';
import { namespaces } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startController } from '../../controller/reconcilers.ts';
import type { RunningController } from '../../controller/reconcilers.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';

describe('deletion through kubectl, with the controller, a real API server and etcd', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let client: KubeClient;
  let controller: RunningController;

  before(async () => {
    api = await startTestApiServer();
    client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'potluck-test' });
    controller = await startController({ client, logger: silentLogger, identity: 'test', leaderElection: false });
  });

  after(async () => {
    await controller.stop();
    client.close();
    await api.stop();
  });

  async function kubectl(args: string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }

  /** Answers its uid. */
  async function configMap(name: string, owners: OwnerReference[] = [], more: object = {}): Promise<string> {
    const metadata = { name, namespace: 'default', ownerReferences: owners, ...more };
    const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
    return kubectl(['create', '-f', '-', '-o', 'jsonpath={.metadata.uid}'], manifest);
  }

  function ownedBy(name: string, uid: string, block = false): OwnerReference {
    return { apiVersion: 'v1', kind: 'ConfigMap', name, uid, ...(block && { blockOwnerDeletion: true }) };
  }

  async function names(): Promise<string[]> {
    const list = await kubectl(['get', 'configmaps', '-o', 'jsonpath={.items[*].metadata.name}']);
    return list.split(' ').filter((name) => name !== '');
  }

  async function untilGone(gone: string[], kept: string[] = []): Promise<void> {
    await eventually(
      async () => {
        const present = await names();
        assert.deepEqual(
          gone.filter((name) => present.includes(name)),
          [],
        );
        assert.deepEqual(
          kept.filter((name) => !present.includes(name)),
          [],
        );
      },
      { timeoutMs: 10_000, what: `${gone.join()} to go` },
    );
  }

  it('removes dependents, and theirs, in the background', async () => {
    const parent = await configMap('parent');
    const child = await configMap('child', [ownedBy('parent', parent)]);
    await configMap('grandchild', [ownedBy('child', child)]);
    await configMap('stranger');
    await kubectl(['delete', 'configmap', 'parent', '--cascade=background']);
    await untilGone(['parent', 'child', 'grandchild'], ['stranger']);
  });

  it('removes blocking dependents before their owner in the foreground', async () => {
    const parent = await configMap('front');
    await configMap('blocking', [ownedBy('front', parent, true)], { finalizers: ['example.com/hold'] });
    await kubectl(['delete', 'configmap', 'front', '--cascade=foreground', '--wait=false']);
    await eventually(
      async () => assert.notEqual(await kubectl(['get', 'configmap', 'blocking', '-o', 'jsonpath={.metadata.deletionTimestamp}']), ''),
      { timeoutMs: 10_000, what: 'the dependent to be deleted' },
    );
    assert.ok((await names()).includes('front'), 'the owner waits');
    await kubectl(['patch', 'configmap', 'blocking', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    await untilGone(['front', 'blocking']);
  });

  it('leaves dependents without their owner where they are to be orphaned', async () => {
    const parent = await configMap('leaves');
    await configMap('orphan', [ownedBy('leaves', parent)]);
    await kubectl(['delete', 'configmap', 'leaves', '--cascade=orphan']);
    await untilGone(['leaves'], ['orphan']);
    assert.equal(await kubectl(['get', 'configmap', 'orphan', '-o', 'jsonpath={.metadata.ownerReferences}']), '');
  });

  it('keeps what has another owner, and takes the reference to the one that went away', async () => {
    const [one, two] = [await configMap('owner-one'), await configMap('owner-two')];
    await configMap('shared', [ownedBy('owner-one', one), ownedBy('owner-two', two)]);
    await kubectl(['delete', 'configmap', 'owner-one']);
    await eventually(
      async () =>
        assert.equal(await kubectl(['get', 'configmap', 'shared', '-o', 'jsonpath={.metadata.ownerReferences[*].name}']), 'owner-two'),
      { timeoutMs: 10_000, what: 'the reference to go' },
    );
    await kubectl(['delete', 'configmap', 'owner-two']);
    await untilGone(['shared']);
  });

  it('removes what names an owner that never was, or another object of that name', async () => {
    await configMap('namesake');
    await configMap('by-uid', [ownedBy('namesake', '11111111-1111-1111-1111-111111111111')]);
    await configMap('by-name', [ownedBy('nobody', '22222222-2222-2222-2222-222222222222')]);
    await untilGone(['by-uid', 'by-name'], ['namesake']);
  });

  it('collects objects of a kind that was declared a moment ago, and leaves owners of unknown kinds alone', async () => {
    await kubectl(['apply', '-f', '-'], JSON.stringify(widgets));
    await kubectl(['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=10s']);
    const owner = await configMap('of-widgets');
    const metadata = { name: 'owned', namespace: 'default', ownerReferences: [ownedBy('of-widgets', owner)] };
    await eventually(
      async () => kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Widget', metadata })),
      { timeoutMs: 5_000, what: 'the widget' },
    );
    await configMap('unknown-owner', [
      { apiVersion: 'nowhere.io/v1', kind: 'Thing', name: 'a', uid: '33333333-3333-3333-3333-333333333333' },
    ]);
    await kubectl(['delete', 'configmap', 'of-widgets']);
    await eventually(async () => assert.equal(await kubectl(['get', 'widgets', '-o', 'name']), ''), {
      timeoutMs: 10_000,
      what: 'the widget to go',
    });
    assert.ok((await names()).includes('unknown-owner'));
  });

  it('empties a namespace, waits for finalizers and says so, and then lets it go', async () => {
    await kubectl(['create', 'namespace', 'toto']);
    await client.create(namespacedConfigMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'notes', namespace: 'toto' } });
    await kubectl(['create', '-f', '-'], JSON.stringify({ ...instanceManifest('waits', { namespace: 'toto' }), metadata: held }));
    await kubectl(['delete', 'namespace', 'toto', '--wait=false']);
    const read = (): Promise<Namespace> => client.get(namespaces, { name: 'toto' });
    await eventually(
      async () => {
        const { status } = await read();
        assert.equal(status?.phase, 'Terminating');
        const texts = (status.conditions as { type: string; status: string; message: string }[] | undefined)
          ?.filter((condition) => condition.status === 'True')
          .map(({ type, message }) => `${type}: ${message}`);
        assert.deepEqual(texts, [
          'NamespaceContentRemaining: Some resources are remaining: instances.potluck.dev has 1 resource instances',
          'NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
        ]);
      },
      { timeoutMs: 10_000, what: 'the conditions' },
    );
    await kubectl(['patch', 'instance', 'waits', '-n', 'toto', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    await kubectl(['wait', '--for=delete', 'namespace/toto', '--timeout=15s']);
  });
});

const namespacedConfigMaps = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true } as const;
const held = { name: 'waits', namespace: 'toto', finalizers: ['example.com/hold'] };
const widgets = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
};

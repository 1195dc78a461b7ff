/** What gateways and jump hosts may write, and who else may write what is theirs, by a real API server. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { openPki } from '../../apiserver/access/pki.ts';
import { kubeconfigOf } from '../../node-agent/identity/agent-kubeconfig.ts';
import { gatewayLeaseNamespace, providersGroup, providerUser } from '../../api/names.ts';
import { gateways, instances, leases, members, providers, secrets } from '../../api/resource-type.ts';
import { ApiError } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';

const key = { name: 'laptop' };
const gatewaySpec = { tunnelAddresses: ['203.0.113.1:6444', '[2001:db8::1]:6444'], peerAddress: '203.0.113.1:6444' };
const gatewayObject = (name: string) => ({ apiVersion: 'potluck.dev/v1alpha1', kind: 'Gateway', metadata: { name }, spec: gatewaySpec });
const lease = (name: string) => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, namespace: gatewayLeaseNamespace },
  spec: { holderIdentity: 'x', leaseDurationSeconds: 40 },
});

describe('the rights of gateways', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: KubeClient;
  let gateway: KubeClient;
  let jumpHost: KubeClient;
  let provider: KubeClient;
  let controller: KubeClient;

  before(async () => {
    api = await startTestApiServer();
    const open = (kubeconfig: string): KubeClient => createClient({ kubeconfig, userAgent: 'test' });
    admin = open(api.kubeconfigPath);
    gateway = open(join(api.home, 'pki/gateway.kubeconfig'));
    jumpHost = open(join(api.home, 'pki/jump-host.kubeconfig'));
    controller = open(join(api.home, 'pki/controller.kubeconfig'));
    const { metadata } = await admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: key,
      spec: { owner: 'tests', offer: { cpu: '1', memory: '1Gi', disk: '1Gi' } },
    });
    await admin.patch(providers, key, { status: { phase: 'Ready', capacity: { cpu: '4' } } }, { subresource: 'status' });
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: [], now: Date.now });
    const user = providerUser(metadata.uid ?? '');
    const pair = await pki.issueClientCertificate({ commonName: user, organizations: [providersGroup], lifetimeMs: 3_600_000 });
    const kubeconfig = kubeconfigOf({ server: api.url, caPem: pki.caPem });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    Object.assign(kubeconfig.users[0]!, { certData: base64(pair.certPem), keyData: base64(pair.keyPem) });
    provider = createClient({ kubeconfig, userAgent: 'test' });
  });
  after(async () => {
    for (const client of [admin, gateway, jumpHost, provider, controller]) client.close();
    await api.stop();
  });

  const tunnel = (session: number, more: object = {}): object => ({
    status: { tunnel: { gateway: 'one', session, connectedAt: '2026-01-01T00:00:00Z', ...more } },
  });
  const patch = (client: KubeClient, body: object): Promise<unknown> => client.patch(providers, key, body, { subresource: 'status' });
  const forbidden = async (work: Promise<unknown>, message: RegExp): Promise<void> => {
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof ApiError, String(error));
      assert.equal(error.code, 403, error.message);
      assert.match(error.message, message);
      return true;
    });
  };

  it('are to write status.tunnel of a Provider, upwards, and nothing else of it', async () => {
    await patch(gateway, tunnel(1));
    await patch(gateway, tunnel(2, { connectedAt: null, disconnectedAt: '2026-01-01T00:00:01Z' }));
    await forbidden(patch(gateway, tunnel(1)), /the number of a session never goes back/);
    await forbidden(patch(gateway, { status: { tunnel: null } }), /the number of a session never goes back/);
    // One field that is there, one that is not, and one taken away.
    for (const status of [{ phase: 'Withdrawn' }, { leavingAt: '2026-01-01T00:00:00Z' }, { capacity: null }, { capacity: { cpu: '8' } }]) {
      await forbidden(patch(gateway, { status }), /a gateway writes only status.tunnel of a provider/);
    }
    await forbidden(gateway.patch(providers, key, { spec: { revoked: true } }), /cannot patch resource "providers"/);
    await forbidden(gateway.delete(providers, key), /cannot delete resource "providers"/);
    const found = await admin.get(providers, key);
    assert.deepEqual(found.status?.tunnel, { gateway: 'one', session: 2, disconnectedAt: '2026-01-01T00:00:01Z' });
  });

  it('are theirs alone: neither the provider nor the controller writes status.tunnel', async () => {
    await forbidden(patch(provider, tunnel(9)), /only gateways write status.tunnel/);
    await forbidden(patch(controller, tunnel(9)), /only gateways write status.tunnel/);
    await patch(provider, { status: { capacity: { cpu: '2' } } });
    await patch(controller, { status: { phase: 'Ready' } });
  });

  it('do not reach instances, members, secrets, or leases of others', async () => {
    const namespace = 'default';
    await forbidden(
      gateway.patch(instances, { namespace, name: 'x' }, {}, { subresource: 'status' }),
      /cannot patch resource "instances\/status"/,
    );
    await forbidden(gateway.list(secrets, { namespace }), /cannot list resource "secrets"/);
    await forbidden(gateway.list(members), /cannot list resource "members"/);
    await forbidden(gateway.list(leases, { namespace: 'potluck-provider-leases' }), /cannot list resource "leases"/);
    await gateway.list(instances);
  });

  it('hold their objects and leases, which machines and the jump host may read', async () => {
    await gateway.create(gateways, gatewayObject('one'));
    await gateway.create(leases, lease('one'));
    for (const client of [provider, jumpHost]) {
      assert.deepEqual(
        (await client.list(gateways)).items.map(({ metadata }) => metadata.name),
        ['one'],
      );
      assert.equal((await client.list(leases, { namespace: gatewayLeaseNamespace })).items.length, 1);
      await forbidden(client.create(gateways, gatewayObject('two')), /cannot create resource "gateways"/);
      await forbidden(client.create(leases, lease('two')), /leases.coordination.k8s.io/);
      await forbidden(client.delete(gateways, { name: 'one' }), /cannot delete resource "gateways"/);
    }
    await forbidden(jumpHost.patch(providers, key, tunnel(9), { subresource: 'status' }), /cannot patch resource "providers\/status"/);
  });

  it('come with certificates that only their owner reads', async () => {
    const pki = (file: string): string => join(api.home, 'pki', file);
    for (const file of ['gateway.kubeconfig', 'jump-host.kubeconfig', 'apiserver-backend.key', 'apiserver-backend.crt']) {
      assert.equal((await stat(pki(file))).mode & 0o777, 0o600, file);
    }
    const { subject } = new X509Certificate(await readFile(pki('apiserver-backend.crt')));
    assert.deepEqual(subject.split('\n').sort(), ['CN=system:potluck-apiserver', 'O=system:potluck-apiservers']);
  });

  it('are refused addresses that are none', async () => {
    for (const tunnelAddresses of [[], ['nowhere'], ['host:port'], ['http://host:1'], ['host:1', 'host:1']]) {
      const wrong = { ...gatewayObject('wrong'), spec: { ...gatewaySpec, tunnelAddresses } };
      await assert.rejects(
        gateway.create(gateways, wrong),
        (error: ApiError) => error.code === 422 && error.message.includes('tunnelAddresses'),
      );
    }
  });
});

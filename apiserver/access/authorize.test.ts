import assert from 'node:assert/strict';
import { anonymousUser } from './authenticate.ts';
import type { Attributes, ResourceAttributes } from './authorize.ts';
import { forbidden, isAllowed } from './authorize.ts';

const provider = { name: 'system:provider:1', groups: ['system:providers', 'system:authenticated'] };
const controller = { name: 'system:potluck-controller', groups: ['system:authenticated'] };
const alice = { name: 'alice', groups: ['system:authenticated'] };

function on(verb: string, resource: string, rest: Partial<ResourceAttributes> = {}): Attributes {
  const [name = '', subresource] = resource.split('/');
  return { kind: 'resource', verb, group: 'potluck.dev', resource: name, ...(subresource === undefined ? {} : { subresource }), ...rest };
}

describe('isAllowed()', () => {
  it('lets masters do everything', () => {
    const root = { name: 'x', groups: ['system:masters'] };
    assert.ok(isAllowed(root, on('delete', 'secrets', { group: '' })));
    assert.ok(isAllowed(root, { kind: 'path', verb: 'get', path: '/metrics' }));
  });

  it('lets a provider write status and its lease, never a spec, a secret or another namespace’s lease', () => {
    assert.ok(isAllowed(provider, on('patch', 'instances/status', { namespace: 'a', name: 'i' })));
    assert.ok(isAllowed(provider, on('watch', 'instances')));
    const lease = { group: 'coordination.k8s.io', name: 'p' };
    assert.ok(isAllowed(provider, on('update', 'leases', { ...lease, namespace: 'potluck-provider-leases' })));
    assert.ok(!isAllowed(provider, on('update', 'leases', { ...lease, namespace: 'kube-system' })));
    assert.ok(!isAllowed(provider, on('update', 'leases', lease)));
    assert.ok(!isAllowed(provider, on('patch', 'instances', { namespace: 'a', name: 'i' })));
    assert.ok(!isAllowed(provider, on('get', 'secrets', { group: '', namespace: 'a', name: 's' })));
    assert.ok(!isAllowed(provider, on('update', 'providerreservations')));
  });

  it('lets controllers collect garbage everywhere but create only what is theirs', () => {
    assert.ok(isAllowed(controller, on('delete', 'configmaps', { group: '', namespace: 'a', name: 'c' })));
    assert.ok(isAllowed(controller, on('create', 'providerreservations')));
    assert.ok(!isAllowed(controller, on('create', 'secrets', { group: '', namespace: 'a' })));
  });

  it('shows the anonymous health and version only', () => {
    assert.ok(isAllowed(anonymousUser, { kind: 'path', verb: 'get', path: '/readyz' }));
    assert.ok(isAllowed(anonymousUser, { kind: 'path', verb: 'get', path: '/version' }));
    assert.ok(!isAllowed(anonymousUser, { kind: 'path', verb: 'get', path: '/apis' }));
    assert.ok(!isAllowed(anonymousUser, on('list', 'instances')));
    assert.ok(isAllowed(alice, { kind: 'path', verb: 'get', path: '/apis/potluck.dev' }));
  });
});

describe('forbidden()', () => {
  it('speaks in the words of kube-apiserver', () => {
    const core = { group: '', namespace: 'default' };
    assert.deepEqual(forbidden(alice, on('get', 'configmaps', { ...core, name: 'x' })).status, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'configmaps "x" is forbidden: User "alice" cannot get resource "configmaps" in API group "" in the namespace "default"',
      reason: 'Forbidden',
      details: { name: 'x', kind: 'configmaps' },
      code: 403,
    });
    assert.equal(
      forbidden(anonymousUser, on('list', 'namespaces', { group: '' })).message,
      'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope',
    );
    assert.equal(
      forbidden(alice, { kind: 'path', verb: 'get', path: '/metrics' }).message,
      'forbidden: User "alice" cannot get path "/metrics"',
    );
  });
});

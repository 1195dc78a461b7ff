import assert from 'node:assert/strict';
import { anonymousUser } from './authenticate.ts';
import type { Attributes, ResourceAttributes } from './authorize.ts';
import { forbidden } from './authorize.ts';

const alice = { name: 'alice', groups: ['system:authenticated'] };

function on(verb: string, resource: string, rest: Partial<ResourceAttributes> = {}): Attributes {
  const [name = '', subresource] = resource.split('/');
  return { kind: 'resource', verb, group: 'potluck.dev', resource: name, ...(subresource === undefined ? {} : { subresource }), ...rest };
}

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
    const reason = 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found';
    assert.equal(
      forbidden(alice, { kind: 'path', verb: 'get', path: '/metrics' }, reason).message,
      `forbidden: User "alice" cannot get path "/metrics": ${reason}`,
    );
  });
});

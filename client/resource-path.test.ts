import assert from 'node:assert/strict';
import { instances, leases, namespaces, providers } from '../api/resource-type.ts';
import { collectionPath, objectPath, queryString } from './resource-path.ts';

describe('paths', () => {
  it('are those of Kubernetes for core and other groups, namespaced and not', () => {
    assert.equal(objectPath(namespaces, { name: 'toto' }), '/api/v1/namespaces/toto');
    assert.equal(collectionPath(leases), '/apis/coordination.k8s.io/v1/leases');
    assert.equal(
      objectPath(instances, { namespace: 'toto', name: 'x' }, 'status'),
      '/apis/potluck.dev/v1alpha1/namespaces/toto/instances/x/status',
    );
    assert.equal(objectPath(providers, { namespace: 'ignored', name: 'x' }), '/apis/potluck.dev/v1alpha1/providers/x');
  });

  it('never let a name reach beyond its place', () => {
    assert.equal(objectPath(providers, { name: '../x?y' }), '/apis/potluck.dev/v1alpha1/providers/..%2Fx%3Fy');
    assert.throws(() => objectPath(providers, { name: '' }), /the name is empty/);
    assert.throws(() => objectPath(instances, { name: 'x' }), /the namespace is missing/);
  });

  it('carry only the parameters that are given', () => {
    assert.equal(queryString({ a: 1, b: undefined, c: 'x=y,z', d: true }), '?a=1&c=x%3Dy%2Cz&d=true');
    assert.equal(queryString({ a: undefined }), '');
  });
});

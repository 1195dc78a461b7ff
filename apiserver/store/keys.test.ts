import assert from 'node:assert/strict';
import fc from 'fast-check';
import { keyPrefix, objectKey } from './keys.ts';

const instances = { group: 'potluck.dev', resource: 'instances', namespaced: true, custom: true };
const providers = { group: 'potluck.dev', resource: 'providers', namespaced: false, custom: true };
const secrets = { group: '', resource: 'secrets', namespaced: true, custom: false };
const leases = { group: 'coordination.k8s.io', resource: 'leases', namespaced: true, custom: false };
const namespaces = { group: '', resource: 'namespaces', namespaced: false, custom: false };
const clusterRoles = { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', namespaced: false, custom: false };
const definitions = { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions', namespaced: false, custom: false };

describe('keys in etcd', () => {
  it('objectKey() lays objects out as kube-apiserver does', () => {
    assert.equal(objectKey(instances, { namespace: 'toto', name: 'wordcount' }), '/registry/potluck.dev/instances/toto/wordcount');
    assert.equal(objectKey(providers, { name: 'alans-desktop' }), '/registry/potluck.dev/providers/alans-desktop');
    assert.equal(objectKey(secrets, { namespace: 'toto', name: 's' }), '/registry/secrets/toto/s');
    assert.equal(objectKey(leases, { namespace: 'kube-system', name: 'l' }), '/registry/leases/kube-system/l');
    assert.equal(objectKey(namespaces, { name: 'toto' }), '/registry/namespaces/toto');
    assert.equal(objectKey(clusterRoles, { name: 'admin' }), '/registry/clusterroles/admin');
    assert.equal(
      objectKey(definitions, { name: 'instances.potluck.dev' }),
      '/registry/apiextensions.k8s.io/customresourcedefinitions/instances.potluck.dev',
    );
  });

  it('keyPrefix() covers a resource or one namespace of it', () => {
    assert.equal(keyPrefix(instances), '/registry/potluck.dev/instances/');
    assert.equal(keyPrefix(instances, 'toto'), '/registry/potluck.dev/instances/toto/');
    assert.equal(keyPrefix(secrets), '/registry/secrets/');
  });

  it('an object lies under the prefix of its own namespace and of no other, whatever the names', () => {
    const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, name, name, (own, other, object) => {
        const key = objectKey(instances, { namespace: own, name: object });
        assert.equal(key.startsWith(keyPrefix(instances, own)), true);
        assert.equal(key.startsWith(keyPrefix(instances, other)), own === other);
        assert.equal(key.startsWith(keyPrefix(secrets)), false);
      }),
    );
  });

  it('objectKey() refuses what would reach another object', () => {
    for (const name of ['', '.', '..', 'a/b', '/']) {
      assert.throws(() => objectKey(providers, { name }), RangeError, JSON.stringify(name));
      if (name !== '') assert.throws(() => keyPrefix(instances, name), RangeError, JSON.stringify(name));
    }
    assert.throws(() => objectKey(instances, { name: 'wordcount' }), RangeError);
    assert.throws(() => objectKey(providers, { namespace: 'toto', name: 'alans-desktop' }), RangeError);
  });
});

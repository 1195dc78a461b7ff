import assert from 'node:assert/strict';
import { anonymousUser } from '../authenticate.ts';
import type { Attributes, ResourceAttributes } from '../authorize.ts';
import { gatheredRules } from './aggregated-roles.ts';
import { readBootstrapPolicy, type BootstrapObject } from './bootstrap-policy.ts';
import { PolicyIndex } from './policy-index.ts';
import type { BindingObject, RoleObject } from './policy.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';
import { reconcileBinding, reconcileRole } from './reconcile-policy.ts';

const provider = { name: 'system:provider:1', groups: ['system:providers', 'system:authenticated'] };
const bootstrapper = { name: 'system:bootstrap:abcd1234', groups: ['system:bootstrappers', 'system:authenticated'] };
const controller = { name: 'system:potluck-controller', groups: ['system:authenticated'] };
const alice = { name: 'alice', groups: ['system:authenticated'] };

function on(verb: string, resource: string, rest: Partial<ResourceAttributes> = {}): Attributes {
  const [name = '', subresource] = resource.split('/');
  return { kind: 'resource', verb, group: 'potluck.dev', resource: name, ...(subresource === undefined ? {} : { subresource }), ...rest };
}
const path = (verb: string, where: string): Attributes => ({ kind: 'path', verb, path: where });

describe('the roles of manifests/bootstrap-rbac.yaml', () => {
  let objects: BootstrapObject[];
  let authorizer: RbacAuthorizer;

  before(async () => {
    objects = await readBootstrapPolicy();
    const index = new PolicyIndex();
    for (const object of objects) {
      const { name = '', namespace } = object.metadata;
      if ('roleRef' in object) index.setBinding(namespace, name, object);
      else index.setRole(namespace, name, object);
    }
    authorizer = new RbacAuthorizer(index);
  });

  const allows = (user: typeof alice | typeof anonymousUser, attributes: Attributes): boolean =>
    authorizer.authorize(user, attributes).allowed;

  it('leave providers to their relationships, and let a machine that joins ask for a certificate and nothing else', () => {
    assert.ok(!allows(provider, on('patch', 'instances/status', { namespace: 'a', name: 'i' })));
    assert.ok(!allows(provider, on('watch', 'instances')));
    assert.ok(!allows(provider, on('update', 'leases', { group: 'coordination.k8s.io', name: 'p', namespace: 'potluck-provider-leases' })));
    const requests = { group: 'certificates.k8s.io' };
    assert.ok(allows(bootstrapper, on('create', 'certificatesigningrequests', requests)));
    for (const verb of ['get', 'list', 'update', 'delete'])
      assert.ok(!allows(bootstrapper, on(verb, 'certificatesigningrequests', requests)));
    assert.ok(!allows(bootstrapper, on('update', 'certificatesigningrequests/approval', requests)));
    assert.ok(!allows(bootstrapper, on('list', 'instances')));
  });

  it('let controllers collect garbage everywhere but create only what is theirs', () => {
    assert.ok(allows(controller, on('delete', 'configmaps', { group: '', namespace: 'a', name: 'c' })));
    assert.ok(allows(controller, on('create', 'providerreservations')));
    // It makes the host keys of instances, and nothing that people keep.
    assert.ok(!allows(controller, on('create', 'configmaps', { group: '', namespace: 'a' })));
  });

  it('show the anonymous health and version only', () => {
    for (const open of ['/healthz', '/livez', '/readyz', '/version']) assert.ok(allows(anonymousUser, path('get', open)), open);
    for (const closed of ['/', '/api', '/apis', '/openapi/v2', '/metrics', '/readyz/etcd'])
      assert.ok(!allows(anonymousUser, path('get', closed)), closed);
    assert.ok(!allows(anonymousUser, path('post', '/version')));
    assert.ok(!allows(anonymousUser, on('list', 'instances')));
    assert.ok(!allows(anonymousUser, on('create', 'selfsubjectaccessreviews', { group: 'authorization.k8s.io' })));
    assert.ok(allows(alice, path('get', '/apis/potluck.dev')));
    assert.ok(allows(alice, on('create', 'selfsubjectreviews', { group: 'authentication.k8s.io' })));
    assert.ok(!allows(alice, path('get', '/metrics')));
  });

  it('gather view into edit and edit into admin, and keep secrets out of view', () => {
    let roles = objects.filter((object) => object.kind === 'ClusterRole') as RoleObject[];
    // Each pass is what one change of a role leads to; three levels need three.
    for (let pass = 0; pass < 3; pass += 1) {
      const present = roles;
      roles = present.map((role) => ({ ...role, rules: gatheredRules(role, present) ?? role.rules ?? [] }));
    }
    const resources = (name: string): string[] => {
      const role = roles.find(({ metadata }) => metadata.name === name);
      return [...new Set((role?.rules ?? []).flatMap((rule) => rule.resources ?? []))].sort();
    };
    assert.ok(!resources('view').includes('secrets'));
    assert.ok(resources('view').every((resource) => resources('edit').includes(resource)));
    assert.ok(resources('edit').every((resource) => resources('admin').includes(resource)));
    assert.ok(!resources('edit').includes('rolebindings'));
    assert.ok(resources('admin').includes('rolebindings'));
  });
});

describe('reconcileRole() and reconcileBinding()', () => {
  const rule = (resource: string): { verbs: string[]; apiGroups: string[]; resources: string[] } => ({
    verbs: ['get'],
    apiGroups: [''],
    resources: [resource],
  });
  const role = (rules: ReturnType<typeof rule>[], annotations: Record<string, string> = {}): RoleObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'r', annotations },
    rules,
  });
  const binding = (to: string, ...subjects: string[]): BindingObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'b' },
    subjects: subjects.map((name) => ({ kind: 'User', name })),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: to },
  });

  it('put back what is missing and keep what was added', () => {
    const outcome = reconcileRole(role([rule('pods'), rule('secrets')]), role([rule('pods'), rule('events')]));
    assert.ok(outcome.action === 'update');
    assert.deepEqual(outcome.object.rules, [rule('pods'), rule('events'), rule('secrets')]);
    const bound = reconcileBinding(binding('r', 'ann', 'bob'), binding('r', 'bob', 'eve'));
    assert.ok(bound.action === 'update');
    assert.deepEqual(
      bound.object.subjects?.map(({ name }) => name),
      ['bob', 'eve', 'ann'],
    );
  });

  it('leave alone what is whole, and what its owner took over', () => {
    assert.equal(reconcileRole(role([rule('pods')]), role([rule('pods'), rule('events')])).action, 'keep');
    const own = role([], { 'rbac.authorization.kubernetes.io/autoupdate': 'false' });
    assert.equal(reconcileRole(role([rule('pods')]), own).action, 'keep');
    assert.equal(reconcileBinding(binding('r', 'bob'), binding('r', 'bob')).action, 'keep');
  });

  it('make a binding anew that points elsewhere', () => {
    assert.equal(reconcileBinding(binding('r', 'bob'), binding('other', 'bob')).action, 'replace');
  });
});

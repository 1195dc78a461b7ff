import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { UserInfo } from '../../registry/resource.ts';
import type { Attributes } from '../authorize.ts';
import { missingRights } from './missing-rights.ts';
import { PolicyIndex } from './policy-index.ts';
import type { BindingObject, PolicyRule, RoleObject, Subject } from './policy.ts';
import { RbacAuthorizer } from './rbac-authorizer.ts';
import { ruleAllows } from './rule-allows.ts';

const verbs = ['get', 'list', 'delete'];
const groups = ['', 'potluck.dev'];
const resources = ['pods', 'instances'];
const subresources = [undefined, 'status', 'log'];
const names = [undefined, 'a', 'b'];
const paths = ['/metrics', '/healthz', '/healthz/etcd', '/api'];
const namespaces = ['red', 'blue'];

const some = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });
const resourceRule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: some(...verbs, '*'),
  apiGroups: some(...groups, '*'),
  resources: some('pods', 'instances', 'pods/log', 'instances/status', '*/status', '*/log', '*'),
  resourceNames: fc.uniqueArray(fc.constantFrom('a', 'b'), { maxLength: 1 }),
});
const pathRule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: some(...verbs, '*'),
  nonResourceURLs: some('/metrics', '/healthz', '/healthz/*', '/h*', '*'),
});
const rule = fc.oneof({ weight: 4, arbitrary: resourceRule }, pathRule);
const subject: fc.Arbitrary<Subject> = fc.oneof(
  fc.record({ kind: fc.constant('User'), name: fc.constantFrom('ann', 'bob') }),
  fc.record({ kind: fc.constant('Group'), name: fc.constantFrom('staff', 'system:authenticated') }),
  fc.record({ kind: fc.constant('ServiceAccount'), name: fc.constant('bot'), namespace: fc.constantFrom('red', 'blue') }),
);

/** Every request of the small world. */
const everything: Attributes[] = [
  ...verbs.flatMap((verb) => paths.map((path) => ({ kind: 'path', verb, path }) as const)),
  ...verbs.flatMap((verb) =>
    groups.flatMap((group) =>
      resources.flatMap((resource) =>
        subresources.flatMap((subresource) =>
          names.flatMap((name) =>
            [undefined, ...namespaces].map(
              (namespace) =>
                ({
                  kind: 'resource',
                  verb,
                  group,
                  resource,
                  ...(subresource === undefined ? {} : { subresource }),
                  ...(name === undefined ? {} : { name }),
                  ...(namespace === undefined ? {} : { namespace }),
                }) as const,
            ),
          ),
        ),
      ),
    ),
  ),
];

/** What a rule says, written another way: as a pattern over one line of text for each request. */
function patternAllows(one: PolicyRule, attributes: Attributes): boolean {
  const any = (values: readonly string[], each: (value: string) => string): string => `(?:${values.map(each).join('|')})`;
  const plain = (text: string): string => text.replace(/[.*/]/gu, '\\$&');
  const starred = (value: string): string => (value === '*' ? '[^ ]*' : plain(value));
  if (attributes.kind === 'path') {
    const urls = any(one.nonResourceURLs ?? ['(?!)'], (url) => (url.endsWith('*') ? `${plain(url.slice(0, -1))}.*` : plain(url)));
    return new RegExp(`^${any(one.verbs, starred)} ${urls}$`, 'u').test(`${attributes.verb} ${attributes.path}`);
  }
  const resource = any(one.resources ?? ['(?!)'], (value) => (value.startsWith('*/') ? `[^ /]+${plain(value.slice(1))}` : starred(value)));
  const name = (one.resourceNames ?? []).length === 0 ? '.*' : any(one.resourceNames ?? [], plain);
  const pattern = `^${any(one.verbs, starred)} ${any(one.apiGroups ?? ['(?!)'], starred)} ${resource} ${name}$`;
  const whole = attributes.subresource === undefined ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  return new RegExp(pattern, 'u').test(`${attributes.verb} ${attributes.group} ${whole} ${attributes.name ?? ''}`);
}

type Change =
  | { type: 'role'; namespace: string | undefined; name: string; rules: PolicyRule[] | undefined }
  | { type: 'binding'; namespace: string | undefined; name: string; subjects: Subject[] | undefined; roleKind: string; roleName: string };

const scope = fc.constantFrom(undefined, ...namespaces);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    type: fc.constant('role' as const),
    namespace: scope,
    name: fc.constantFrom('r1', 'r2'),
    rules: fc.option(fc.array(rule, { maxLength: 3 }), { nil: undefined }),
  }),
  fc.record({
    type: fc.constant('binding' as const),
    namespace: scope,
    name: fc.constantFrom('b1', 'b2'),
    subjects: fc.option(fc.array(subject, { maxLength: 2 }), { nil: undefined }),
    roleKind: fc.constantFrom('Role', 'ClusterRole'),
    roleName: fc.constantFrom('r1', 'r2'),
  }),
);

const users: UserInfo[] = [
  { name: 'ann', groups: ['staff', 'system:authenticated'] },
  { name: 'bob', groups: ['system:authenticated'] },
  { name: 'system:serviceaccount:red:bot', groups: ['system:serviceaccounts', 'system:authenticated'] },
  { name: 'system:anonymous', groups: ['system:unauthenticated'] },
];

/** Everything that is stored, looked through from the beginning for each question. */
class NaivePolicy {
  readonly #roles = new Map<string, PolicyRule[]>();
  readonly #bindings = new Map<string, Change & { type: 'binding' }>();

  apply(one: Change): void {
    const key = `${one.namespace ?? ''}/${one.name}`;
    if (one.type === 'role') {
      if (one.rules === undefined) this.#roles.delete(key);
      else this.#roles.set(key, one.rules);
    } else if (one.subjects === undefined) this.#bindings.delete(key);
    else this.#bindings.set(key, one);
  }

  allows(user: UserInfo, attributes: Attributes): boolean {
    const asked = attributes.kind === 'resource' ? attributes.namespace : undefined;
    return [...this.#bindings.values()].some(({ namespace, subjects = [], roleKind, roleName }) => {
      if (namespace !== undefined && namespace !== asked) return false;
      const isNamed = subjects.some(({ kind, name, namespace: home }) => {
        if (kind === 'Group') return user.groups.includes(name);
        return user.name === (kind === 'User' ? name : `system:serviceaccount:${home ?? ''}:${name}`);
      });
      const rules = this.#roles.get(roleKind === 'ClusterRole' ? `/${roleName}` : `${namespace ?? ''}/${roleName}`) ?? [];
      return isNamed && rules.some((one) => patternAllows(one, attributes));
    });
  }
}

function applyTo(index: PolicyIndex, one: Change): void {
  const metadata = { name: one.name, ...(one.namespace === undefined ? {} : { namespace: one.namespace }) };
  if (one.type === 'role') {
    const role: RoleObject | undefined = one.rules && { apiVersion: '', kind: 'Role', metadata, rules: one.rules };
    index.setRole(one.namespace, one.name, role);
    return;
  }
  const roleRef = { apiGroup: '', kind: one.roleKind, name: one.roleName };
  const binding: BindingObject | undefined = one.subjects && { apiVersion: '', kind: 'Binding', metadata, subjects: one.subjects, roleRef };
  index.setBinding(one.namespace, one.name, binding);
}

describe('ruleAllows()', () => {
  it('says of every request what the same rule as a pattern says', () => {
    fc.assert(
      fc.property(rule, (one) => {
        for (const attributes of everything) {
          assert.equal(ruleAllows(one, attributes), patternAllows(one, attributes), JSON.stringify(attributes));
        }
      }),
    );
  });
});

describe('RbacAuthorizer', () => {
  it('allows exactly what a search through everything that is stored allows, after every change', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 3, maxLength: 12 }), (changes) => {
        const index = new PolicyIndex();
        const authorizer = new RbacAuthorizer(index);
        const naive = new NaivePolicy();
        for (const [step, one] of changes.entries()) {
          applyTo(index, one);
          naive.apply(one);
          // Asked between the changes too, so that what is remembered must be forgotten in time; not everything each time.
          const questions = step === changes.length - 1 ? everything : everything.slice(step, step + 5);
          for (const user of users) {
            for (const attributes of questions) {
              assert.equal(
                authorizer.authorize(user, attributes).allowed,
                naive.allows(user, attributes),
                JSON.stringify([user, attributes]),
              );
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('denies everybody when nothing is stored, but masters nothing', () => {
    const authorizer = new RbacAuthorizer(new PolicyIndex());
    const get: Attributes = { kind: 'path', verb: 'get', path: '/healthz' };
    assert.deepEqual(authorizer.authorize(users[0]!, get), { allowed: false, reason: '' });
    assert.deepEqual(authorizer.authorize({ name: 'x', groups: ['system:masters'] }, get), { allowed: true, reason: '' });
  });

  it('says which binding allows, and which role is missing, as Kubernetes does', () => {
    const index = new PolicyIndex();
    const authorizer = new RbacAuthorizer(index);
    const get: Attributes = { kind: 'resource', verb: 'get', group: '', resource: 'pods', namespace: 'red' };
    const account: Subject = { kind: 'ServiceAccount', name: 'bot' };
    applyTo(index, { type: 'binding', namespace: 'red', name: 'rb', subjects: [account], roleKind: 'ClusterRole', roleName: 'view' });
    const missing = 'RBAC: clusterrole.rbac.authorization.k8s.io "view" not found';
    assert.deepEqual(authorizer.authorize(users[2]!, get), { allowed: false, reason: missing });
    applyTo(index, { type: 'role', namespace: undefined, name: 'view', rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] });
    const reason = 'RBAC: allowed by RoleBinding "rb/red" of ClusterRole "view" to ServiceAccount "bot/red"';
    assert.deepEqual(authorizer.authorize(users[2]!, get), { allowed: true, reason });
  });
});

describe('missingRights()', () => {
  it('leaves nothing out: where none is missing, everything wanted is allowed already', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), fc.array(rule, { maxLength: 2 }), (held, wanted) => {
        const missing = missingRights(held, wanted);
        for (const attributes of everything) {
          const asks = wanted.some((one) => ruleAllows(one, attributes));
          const has = held.some((one) => ruleAllows(one, attributes)) || missing.some((one) => ruleAllows(one, attributes));
          assert.ok(!asks || has, JSON.stringify(attributes));
        }
      }),
    );
  });

  it('finds nothing missing of what is held, and everything missing of nothing', () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 3 }), (rules) => {
        assert.deepEqual(missingRights(rules, rules), []);
        assert.notDeepEqual(missingRights([], rules), []);
      }),
    );
  });
});

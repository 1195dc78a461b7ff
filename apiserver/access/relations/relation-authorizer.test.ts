import assert from 'node:assert/strict';
import type { KubernetesObject } from '../../../api/object.ts';
import type { UserInfo } from '../../registry/resource.ts';
import { encodeForStore } from '../../registry/stored-entry.ts';
import { WatchCache } from '../../registry/watch-cache.ts';
import type { JsonObject } from '../../admission/json-value.ts';
import type { ResourceAttributes } from '../authorize.ts';
import { readAccessConfiguration } from './access-configuration.ts';
import { compileAccess } from './compile-access.ts';
import { RelationAuthorizer } from './relation-authorizer.ts';
import { instance, instancesPrefix, provider, providersPrefix, signingRequest } from './relation-fixtures.ts';
import { RelationFeed } from './relation-feed.ts';
import { RelationIndex } from './relation-index.ts';
import { silentLogger } from '../../../runtime/logger.ts';

const own: UserInfo = { name: 'system:provider:u1', groups: ['system:providers', 'system:authenticated'] };
const recovering: UserInfo = { name: 'system:provider:u1', groups: ['system:provider-recovery', 'system:authenticated'] };

describe('RelationAuthorizer', () => {
  let authorizer: RelationAuthorizer;
  const caches = new Map<string, WatchCache>();
  let revision = 1;

  const cacheOf = (prefix: string): WatchCache => {
    const known = caches.get(prefix);
    if (known !== undefined) return known;
    const cache = new WatchCache(prefix, { maxEvents: 100, maxBytes: 1e6 }, () => undefined);
    caches.set(prefix, cache);
    return cache;
  };
  const store = (prefix: string, object: KubernetesObject): void => {
    const { namespace, name = '' } = object.metadata;
    const key = prefix + (namespace === undefined ? name : `${namespace}/${name}`);
    revision += 1;
    const value = encodeForStore(object as unknown as JsonObject);
    cacheOf(prefix).apply({ type: 'put', previous: undefined, entry: { key, value, modRevision: revision, createRevision: revision } });
  };

  before(async () => {
    const index = new RelationIndex(compileAccess(await readAccessConfiguration()), () => undefined);
    new RelationFeed({ index, cacheOf, logger: silentLogger });
    authorizer = new RelationAuthorizer(index, cacheOf);
    store(providersPrefix, provider('desk', 'u1'));
    store(providersPrefix, provider('lap', 'u2'));
    store(providersPrefix, provider('gone', 'u3', { spec: { revoked: true } }));
    store(instancesPrefix, instance('red', 'mine', 'u1', ['key']));
    store(instancesPrefix, instance('blue', 'theirs', 'u2', ['key', 'other']));
    store(instancesPrefix, instance('blue', 'free'));
    store('/registry/certificatesigningrequests/', signingRequest('of-u1', 'system:provider:u1'));
    store('/registry/certificatesigningrequests/', signingRequest('of-u2', 'system:provider:u2'));
  });

  /** `group/resource/subresource` and `namespace/name`. */
  function asks(verb: string, what: string, where = '', fields: Record<string, string> = {}): ResourceAttributes {
    const parts = what.split('/');
    const group = parts[0]?.includes('.') === true ? (parts.shift() ?? '') : '';
    const [resource = '', subresource] = parts;
    const [first = '', second] = where.split('/');
    const [namespace, name] = second === undefined ? ['', first] : [first, second];
    return {
      kind: 'resource',
      verb,
      group,
      resource,
      ...(subresource === undefined ? {} : { subresource }),
      ...(namespace === '' ? {} : { namespace }),
      ...(name === '' ? {} : { name }),
      selectedFields: new Map(Object.entries(fields)),
    };
  }
  const allows = (...question: Parameters<typeof asks>): boolean => authorizer.authorize(own, asks(...question)).allowed;
  const titleOf = ([verb, what, where = '']: Parameters<typeof asks>): string => `${verb} ${what} ${where}`;
  const mine = { 'status.assignment.providerUID': 'u1' };

  const yes: Parameters<typeof asks>[] = [
    ['get', 'potluck.dev/providers', 'desk'],
    ['delete', 'potluck.dev/providers', 'desk'],
    ['patch', 'potluck.dev/providers/status', 'desk'],
    ['get', 'potluck.dev/instances', 'red/mine'],
    ['list', 'potluck.dev/instances', 'red/mine'],
    ['list', 'potluck.dev/instances', '', mine],
    ['watch', 'potluck.dev/instances', 'red/', mine],
    ['update', 'potluck.dev/instances/status', 'red/mine'],
    ['get', 'secrets', 'red/key'],
    ['patch', 'coordination.k8s.io/leases', 'potluck-provider-leases/desk'],
    ['create', 'coordination.k8s.io/leases', 'potluck-provider-leases/'],
    ['create', 'potluck.dev/providerinventories'],
    ['get', 'potluck.dev/providerreservations', 'desk'],
    ['create', 'events', 'red/'],
    ['patch', 'events.k8s.io/events', 'default/x'],
    ['create', 'certificates.k8s.io/certificatesigningrequests'],
    ['get', 'certificates.k8s.io/certificatesigningrequests', 'of-u1'],
    ['watch', 'certificates.k8s.io/certificatesigningrequests', 'of-u1'],
  ];
  for (const question of yes) it(`lets a provider ${titleOf(question)}`, () => assert.ok(allows(...question)));

  const no: Parameters<typeof asks>[] = [
    ['get', 'potluck.dev/providers', 'lap'],
    ['get', 'potluck.dev/providers'],
    ['list', 'potluck.dev/providers'],
    ['update', 'potluck.dev/providers', 'desk'],
    ['delete', 'potluck.dev/providers', 'lap'],
    ['patch', 'potluck.dev/providers/status', 'lap'],
    ['get', 'potluck.dev/instances', 'blue/theirs'],
    ['get', 'potluck.dev/instances', 'blue/free'],
    ['get', 'potluck.dev/instances', 'red/none'],
    ['get', 'potluck.dev/instances', 'mine'],
    ['list', 'potluck.dev/instances'],
    ['list', 'potluck.dev/instances', 'red/'],
    ['list', 'potluck.dev/instances', '', { 'status.assignment.providerUID': 'u2' }],
    ['list', 'potluck.dev/instances', '', { 'status.phase': 'u1' }],
    ['watch', 'potluck.dev/instances', 'red/mine'],
    ['get', 'potluck.dev/instances', 'blue/theirs', mine],
    ['deletecollection', 'potluck.dev/instances', '', mine],
    ['patch', 'potluck.dev/instances', 'red/mine'],
    ['delete', 'potluck.dev/instances', 'red/mine'],
    ['update', 'potluck.dev/instances/status', 'blue/theirs'],
    ['update', 'potluck.dev/instances/status', 'blue/free'],
    ['get', 'secrets', 'blue/key'],
    ['get', 'secrets', 'red/other'],
    ['get', 'secrets', 'key'],
    ['list', 'secrets', 'red/key'],
    ['watch', 'secrets', 'red/key'],
    ['patch', 'secrets', 'red/key'],
    ['get', 'configmaps', 'red/key'],
    ['get', 'secrets/status', 'red/key'],
    ['create', 'coordination.k8s.io/leases', 'kube-system/'],
    ['patch', 'coordination.k8s.io/leases', 'potluck-provider-leases/lap'],
    ['patch', 'coordination.k8s.io/leases', 'red/desk'],
    ['delete', 'coordination.k8s.io/leases', 'potluck-provider-leases/desk'],
    ['get', 'potluck.dev/providerreservations', 'lap'],
    ['create', 'events', 'blue/'],
    ['create', 'events'],
    ['delete', 'events', 'red/x'],
    ['get', 'certificates.k8s.io/certificatesigningrequests', 'of-u2'],
    ['list', 'certificates.k8s.io/certificatesigningrequests'],
    ['update', 'certificates.k8s.io/certificatesigningrequests/approval', 'of-u1'],
    ['get', 'instances', 'red/mine'],
  ];
  for (const question of no) it(`does not let a provider ${titleOf(question)}`, () => assert.ok(!allows(...question)));

  it('says why, in the words of the node authorizer', () => {
    const reason = (...question: Parameters<typeof asks>): string => authorizer.authorize(own, asks(...question)).reason;
    assert.equal(reason('get', 'secrets', 'red/other'), 'no relationship found between provider "desk" and this object');
    assert.equal(
      reason('list', 'potluck.dev/instances'),
      'can only list and watch instances with field selector "status.assignment.providerUID=u1"',
    );
    assert.equal(reason('delete', 'secrets', 'red/key'), '', 'roles have the word');
    const nobody = { ...own, name: 'system:provider:u9' };
    assert.equal(authorizer.authorize(nobody, asks('get', 'secrets', 'red/key')).reason, 'unknown provider for user "system:provider:u9"');
  });

  it('gives nothing to users who are not in the group, and nothing by an object that is revoked', () => {
    for (const user of [
      { ...own, groups: ['system:authenticated'] },
      { name: 'system:provider:u3', groups: own.groups },
      { name: 'u1', groups: own.groups },
    ]) {
      for (const question of yes) assert.ok(!authorizer.authorize(user, asks(...question)).allowed, `${user.name} ${titleOf(question)}`);
    }
  });

  it('gives to one who recovers its own signing requests only', () => {
    for (const question of yes) {
      const [, what] = question;
      const { allowed } = authorizer.authorize(recovering, asks(...question));
      assert.equal(allowed, what.startsWith('certificates.k8s.io/'), titleOf(question));
    }
  });

  it('asks again when the object is known', () => {
    const holds = (question: ResourceAttributes, ...states: object[]): boolean => authorizer.holdsFor(own, question, states).allowed;
    const create = asks('create', 'coordination.k8s.io/leases', 'potluck-provider-leases/');
    assert.ok(holds(create, { metadata: { name: 'desk' } }));
    assert.ok(!holds(create, { metadata: { name: 'lap' } }));
    assert.ok(!holds(create, {}));
    const update = asks('update', 'potluck.dev/instances/status', 'red/mine');
    assert.ok(holds(update, instance('red', 'mine', 'u1'), instance('red', 'mine', 'u1')));
    assert.ok(!holds(update, instance('red', 'mine', 'u1'), instance('red', 'mine', 'u2')), 'it was reassigned meanwhile');
    assert.ok(!holds(update, instance('red', 'mine', 'u2'), instance('red', 'mine', 'u1')), 'nor may it be given away');
    assert.ok(!holds(asks('delete', 'potluck.dev/providers', 'desk'), provider('desk', 'u9')), 'another has the name now');
    assert.ok(holds(asks('delete', 'potluck.dev/providers', 'desk'), provider('desk', 'u1')));
    const sign = asks('create', 'certificates.k8s.io/certificatesigningrequests');
    assert.ok(holds(sign, signingRequest('x', own.name)));
    assert.ok(!holds(sign, signingRequest('x', 'system:provider:u2')));
  });

  it('forgets with the assignment what the instance named', () => {
    store(instancesPrefix, instance('green', 'brief', 'u1', ['once']));
    assert.ok(allows('get', 'secrets', 'green/once'));
    store(instancesPrefix, instance('green', 'brief', 'u2', ['once']));
    assert.ok(!allows('get', 'secrets', 'green/once'));
    assert.ok(!allows('create', 'events', 'green/'));
  });

  it('goes on when a definition was served no longer for a while', () => {
    cacheOf(instancesPrefix).endWatches(new Error('no longer served'));
    store(instancesPrefix, instance('green', 'after', 'u1', ['again']));
    assert.ok(allows('get', 'secrets', 'green/again'));
  });
});

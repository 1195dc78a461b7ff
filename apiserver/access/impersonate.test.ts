import assert from 'node:assert/strict';
import { readImpersonation } from './impersonate.ts';

describe('readImpersonation()', () => {
  it('asks for each part of the identity by itself', () => {
    const found = readImpersonation({
      'impersonate-user': ['ann'],
      'impersonate-uid': ['u1'],
      'impersonate-group': ['staff', 'board'],
      'impersonate-extra-example.com%2fteam': ['blue', 'red'],
    });
    assert.deepEqual(
      found?.needs.map(({ group, resource, subresource, name, verb }) => [verb, group, resource, subresource, name]),
      [
        ['impersonate', '', 'users', undefined, 'ann'],
        ['impersonate', '', 'groups', undefined, 'staff'],
        ['impersonate', '', 'groups', undefined, 'board'],
        ['impersonate', 'authentication.k8s.io', 'userextras', 'example.com/team', 'blue'],
        ['impersonate', 'authentication.k8s.io', 'userextras', 'example.com/team', 'red'],
        ['impersonate', 'authentication.k8s.io', 'uids', undefined, 'u1'],
      ],
    );
    assert.deepEqual(found.user, {
      name: 'ann',
      uid: 'u1',
      groups: ['staff', 'board', 'system:authenticated'],
      extra: { 'example.com/team': ['blue', 'red'] },
    });
  });

  it('knows a ServiceAccount by its name, with its namespace and groups', () => {
    const found = readImpersonation({ 'impersonate-user': ['system:serviceaccount:red:bot'] });
    assert.deepEqual(found?.needs, [
      { kind: 'resource', verb: 'impersonate', group: '', resource: 'serviceaccounts', namespace: 'red', name: 'bot' },
    ]);
    assert.deepEqual(found.user.groups, ['system:serviceaccounts', 'system:serviceaccounts:red', 'system:authenticated']);
  });

  it('does not make the anonymous authenticated', () => {
    assert.deepEqual(readImpersonation({ 'impersonate-user': ['system:anonymous'] })?.user.groups, ['system:unauthenticated']);
  });

  it('refuses groups of nobody, and takes no headers for no wish', () => {
    assert.throws(() => readImpersonation({ 'impersonate-group': ['system:masters'] }), { code: 400 });
    assert.throws(() => readImpersonation({ 'impersonate-extra-a': ['b'] }), { code: 400 });
    assert.equal(readImpersonation({ accept: ['x'] }), undefined);
  });
});

import assert from 'node:assert/strict';
import { describeRules, missingRights, quoteList } from './missing-rights.ts';
import type { PolicyRule } from './policy.ts';

const pods = (verbs: string[], more: Partial<PolicyRule> = {}): PolicyRule => ({ verbs, apiGroups: [''], resources: ['pods'], ...more });

describe('missingRights()', () => {
  const cases: [string, PolicyRule[], PolicyRule[], PolicyRule[]][] = [
    ['a star of verbs by a list of them', [pods(['get', 'list'])], [pods(['*'])], [pods(['*'])]],
    ['all names by one name', [pods(['get'], { resourceNames: ['a'] })], [pods(['get'])], [pods(['get'])]],
    ['one name by all names', [pods(['get'])], [pods(['get'], { resourceNames: ['a'] })], []],
    [
      'a subresource by its resource',
      [pods(['get'])],
      [pods(['get'], { resources: ['pods/log'] })],
      [pods(['get'], { resources: ['pods/log'] })],
    ],
    ['a subresource by a star before it', [pods(['get'], { resources: ['*/log'] })], [pods(['get'], { resources: ['pods/log'] })], []],
    ['verbs spread over rules', [pods(['get']), pods(['list'])], [pods(['get', 'list'])], []],
    [
      'paths by the verbs of resources',
      [pods(['*'], { apiGroups: ['*'], resources: ['*'] })],
      [{ verbs: ['get'], nonResourceURLs: ['/x'] }],
      [{ verbs: ['get'], nonResourceURLs: ['/x'] }],
    ],
    [
      'a path by a star',
      [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }],
      [{ verbs: ['get'], nonResourceURLs: ['/healthz/etcd'] }],
      [],
    ],
  ];
  for (const [what, held, wanted, missing] of cases) {
    it(what, () => assert.deepEqual(missingRights(held, wanted), missing));
  }
});

describe('describeRules()', () => {
  it('puts the verbs of one resource into one line, in the form of Kubernetes', () => {
    const lines = describeRules([
      pods(['get']),
      pods(['list']),
      pods(['get'], { resourceNames: ['a'] }),
      { verbs: ['get'], nonResourceURLs: ['/x'] },
    ]);
    assert.deepEqual(lines, [
      '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}',
      '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
      '{NonResourceURLs:["/x"], Verbs:["get"]}',
    ]);
    assert.equal(quoteList([]), '[]');
  });
});

import assert from 'node:assert/strict';
import type { ResourceDefinition } from '../../registry/resource.ts';
import type { AdmissionRequest } from '../admission-request.ts';
import { matchesResources } from './match-resources.ts';
import type { MatchResources, ResourceRule } from './policy-types.ts';

type RequestParts = Partial<Omit<AdmissionRequest, 'definition'>> & { definition?: Partial<ResourceDefinition> };

function request({ definition = {}, ...rest }: RequestParts = {}): AdmissionRequest {
  const type = { group: 'potluck.dev', version: 'v1', resource: 'instances', namespaced: true, ...definition };
  return {
    operation: 'UPDATE',
    subresource: undefined,
    namespace: 'default',
    name: 'one',
    object: undefined,
    oldObject: undefined,
    definition: type as ResourceDefinition,
    options: { user: { name: 'ann', groups: [] }, dryRun: false, fieldManager: '', fieldValidation: 'Warn', warnings: [] },
    ...rest,
  };
}

const rule = (change: Partial<ResourceRule> = {}): ResourceRule => ({
  apiGroups: ['potluck.dev'],
  apiVersions: ['v1'],
  operations: ['UPDATE'],
  resources: ['instances'],
  ...change,
});
const labelled = (labels: object): AdmissionRequest['object'] => ({ metadata: { labels } });

describe('matchesResources()', () => {
  const cases: [string, MatchResources, RequestParts, boolean][] = [
    ['takes what a rule names', { resourceRules: [rule()] }, {}, true],
    ['leaves other operations', { resourceRules: [rule()] }, { operation: 'DELETE' }, false],
    ['leaves other groups', { resourceRules: [rule()] }, { definition: { group: 'other.dev' } }, false],
    ['leaves subresources that are not named', { resourceRules: [rule()] }, { subresource: 'status' }, false],
    ['takes all resources by *, without subresources', { resourceRules: [rule({ resources: ['*'] })] }, { subresource: 'status' }, false],
    ['takes a subresource by its name', { resourceRules: [rule({ resources: ['instances/status'] })] }, { subresource: 'status' }, true],
    ['takes all subresources by *, and the resource', { resourceRules: [rule({ resources: ['instances/*'] })] }, {}, true],
    ['takes one subresource of all resources', { resourceRules: [rule({ resources: ['*/status'] })] }, { subresource: 'status' }, true],
    ['takes another version of the same resource', { resourceRules: [rule()] }, { definition: { version: 'v2' } }, true],
    ['leaves another version when exact', { matchPolicy: 'Exact', resourceRules: [rule()] }, { definition: { version: 'v2' } }, false],
    ['leaves names that are not listed', { resourceRules: [rule({ resourceNames: ['two'] })] }, {}, false],
    ['takes names that are listed', { resourceRules: [rule({ resourceNames: ['one'] })] }, {}, true],
    ['leaves what is in a namespace by scope Cluster', { resourceRules: [rule({ scope: 'Cluster' })] }, {}, false],
    ['leaves what is excluded', { resourceRules: [rule()], excludeResourceRules: [rule({ operations: ['*'] })] }, {}, false],
    ['takes everything without rules', {}, {}, true],
    ['takes by the label that it gets', selecting('a'), { object: labelled({ a: 'b' }), oldObject: labelled({}) }, true],
    ['takes by the label that it had', selecting('a'), { object: labelled({}), oldObject: labelled({ a: 'b' }) }, true],
    ['leaves what has and had another label', selecting('a'), { object: labelled({}), oldObject: labelled({}) }, false],
  ];
  for (const [claim, match, parts, expected] of cases) {
    it(claim, () => {
      assert.equal(matchesResources(match, request(parts), {}), expected);
    });
  }

  it('goes by the labels of the namespace, and takes what is in none', () => {
    const match = { namespaceSelector: { matchLabels: { team: 'blue' } } };
    assert.equal(matchesResources(match, request(), { team: 'blue' }), true);
    assert.equal(matchesResources(match, request(), { team: 'red' }), false);
    assert.equal(matchesResources(match, request({ namespace: undefined }), undefined), true);
  });
});

function selecting(key: string): MatchResources {
  return { objectSelector: { matchExpressions: [{ key, operator: 'Exists' }] } };
}

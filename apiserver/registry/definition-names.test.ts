import assert from 'node:assert/strict';
import { establishedStatus } from './definition-names.ts';
import { conditionOf, type CustomResourceDefinition, type DefinitionNames } from './definition.ts';

const now = '2026-01-01T00:00:00Z';

function definition(names: DefinitionNames, accepted?: DefinitionNames): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.example.com` },
    spec: { group: 'example.com', scope: 'Namespaced', names, versions: [{ name: 'v1', served: true, storage: true }] },
    status: { conditions: null, acceptedNames: accepted ?? { plural: '', kind: '' }, storedVersions: ['v1'] },
  };
}

const a: DefinitionNames = { plural: 'as', singular: 'a', kind: 'A', listKind: 'AList' };

function verdicts(subject: CustomResourceDefinition, others: CustomResourceDefinition[]): string[] {
  const status = establishedStatus(subject, others, now);
  return (status.conditions ?? []).map(({ type, status: value, reason }) => `${type}=${value} ${reason}`);
}

describe('establishedStatus()', () => {
  it('accepts names that nobody has', () => {
    assert.deepEqual(verdicts(definition(a), []), ['NamesAccepted=True NoConflicts', 'Established=True InitialNamesAccepted']);
    assert.deepEqual(establishedStatus(definition(a), [], now).acceptedNames, a);
  });

  it('refuses a kind that another definition of the group has, naming the last conflict as Kubernetes does', () => {
    const subject = definition({ plural: 'bs', singular: 'b', kind: 'A', listKind: 'AList' });
    assert.deepEqual(verdicts(subject, [definition(a, a)]), ['NamesAccepted=False ListKindConflict', 'Established=False NotAccepted']);
  });

  for (const [field, names, reason] of [
    ['plural', { plural: 'x', singular: 's', kind: 'K', listKind: 'L' }, 'PluralConflict'],
    ['singular', { plural: 'p', singular: 'x', kind: 'K', listKind: 'L' }, 'SingularConflict'],
    ['short name', { plural: 'p', singular: 's', shortNames: ['x'], kind: 'K', listKind: 'L' }, 'ShortNamesConflict'],
  ] as const) {
    it(`refuses a ${field} that is another's short name`, () => {
      const taken: DefinitionNames = { plural: 'others', singular: 'other', shortNames: ['x'], kind: 'Other', listKind: 'OtherList' };
      const subject = definition({ ...names, ...('shortNames' in names ? { shortNames: [...names.shortNames] } : {}) } as DefinitionNames);
      assert.equal(verdicts(subject, [definition(taken, taken)])[0], `NamesAccepted=False ${reason}`);
    });
  }

  it('stays established when a later change of names conflicts, under the names that were accepted', () => {
    const established = { ...definition(a), status: establishedStatus(definition(a), [], now) };
    const other: DefinitionNames = { plural: 'cs', singular: 'c', shortNames: ['cc'], kind: 'C', listKind: 'CList' };
    const changed = { ...established, spec: { ...established.spec, names: { ...a, shortNames: ['cc'] } } };
    const status = establishedStatus(changed, [definition(other, other)], now);
    assert.equal(conditionOf({ ...changed, status }, 'Established')?.status, 'True');
    assert.equal(status.acceptedNames?.shortNames, undefined);
  });

  it('is at rest when nothing changes', () => {
    const status = establishedStatus(definition(a), [], now);
    assert.deepEqual(establishedStatus({ ...definition(a), status }, [], '2030-01-01T00:00:00Z'), status);
  });
});

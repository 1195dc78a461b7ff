import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubernetesObject } from '../../../api/object.ts';
import { readAccessConfiguration } from './access-configuration.ts';
import { compileAccess, type SubjectType } from './compile-access.ts';
import { instance, instancesPrefix, provider, providersPrefix } from './relation-fixtures.ts';
import { RelationIndex } from './relation-index.ts';

const names = ['a', 'b', 'c'];
const uids = ['u1', 'u2', 'u3'];

type Step = { name: string; object: KubernetesObject | undefined } & ({ of: 'provider' } | { of: 'instance'; namespace: string });

const providerStep: fc.Arbitrary<Step> = fc
  .record({
    of: fc.constant('provider' as const),
    name: fc.constantFrom(...names),
    object: fc.option(
      fc.record({
        uid: fc.constantFrom(...uids),
        revoked: fc.boolean(),
        deleting: fc.boolean(),
        key: fc.constantFrom('k1', 'k2', undefined),
      }),
      { nil: undefined },
    ),
  })
  .map(({ of, name, object }) => {
    if (object === undefined) return { of, name, object };
    const { uid, revoked, deleting, key } = object;
    const spec = { revoked, ...(key === undefined ? {} : { identityKey: key }) };
    // A uid is of one name only.
    return { of, name, object: provider(name, `${name}-${uid}`, { spec, ...(deleting ? { deletionTimestamp: 'x' } : {}) }) };
  });

const instanceStep: fc.Arbitrary<Step> = fc
  .record({
    of: fc.constant('instance' as const),
    namespace: fc.constantFrom('red', 'blue'),
    name: fc.constantFrom(...names),
    object: fc.option(fc.record({ uid: fc.constantFrom(...uids, undefined), secrets: fc.uniqueArray(fc.constantFrom('s1', 's2', 's3')) }), {
      nil: undefined,
    }),
  })
  .map((step) => {
    const { object, namespace, name } = step;
    return { ...step, object: object === undefined ? undefined : instance(namespace, name, object.uid, object.secrets) };
  });

describe('RelationIndex', () => {
  let types: readonly SubjectType[];
  let type: SubjectType;
  before(async () => {
    types = compileAccess(await readAccessConfiguration());
    type = types[0]!;
  });

  /** The same put together from scratch. */
  function build(objects: ReadonlyMap<string, Step>): RelationIndex {
    const index = new RelationIndex(types, () => undefined);
    for (const step of objects.values()) put(index, step);
    return index;
  }
  function put(index: RelationIndex, step: Step): void {
    if (step.of === 'provider') index.put(providersPrefix, undefined, step.name, step.object);
    else index.put(instancesPrefix, step.namespace, step.name, step.object);
  }
  /** Everything that can be asked of the small world. */
  function answers(index: RelationIndex): unknown[] {
    const keys = [...names.flatMap((name) => uids.map((uid) => `${name}-${uid}`)), ...uids];
    return keys.map((key) => {
      const found = index.find({ type, key });
      const subject = found ?? { type, key, name: '', alive: true, identityKey: undefined, object: provider('', key) };
      const places = ['red', 'blue'].flatMap((namespace) => ['s1', 's2', 's3'].map((name) => ({ namespace, name })));
      return [
        found?.name,
        found?.alive,
        type.relations.map((relation) => ['red', 'blue'].map((namespace) => index.reaches(relation, subject, namespace))),
        places.map((place) => index.isNamed(subject, '/secrets', place)),
        ['k1', 'k2'].map((identity) => index.findByIdentity(identity)?.key),
      ];
    });
  }

  it('knows after any changes what it would know from the last states alone', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(providerStep, instanceStep), { maxLength: 30 }), (steps) => {
        const gone: string[] = [];
        const index = new RelationIndex(types, (user) => gone.push(user));
        const present = new Map<string, Step>();
        for (const step of steps) {
          const before = uidsOf(index);
          gone.length = 0;
          put(index, step);
          const key = step.of === 'provider' ? `p ${step.name}` : `i ${step.namespace}/${step.name}`;
          if (step.object === undefined) present.delete(key);
          else present.set(key, step);
          const after = uidsOf(index);
          assert.deepEqual(
            gone,
            before.filter((uid) => !after.includes(uid)).map((uid) => `system:provider:${uid}`),
          );
        }
        assert.deepEqual(answers(index), answers(build(present)));
      }),
    );
  });

  function uidsOf(index: RelationIndex): string[] {
    const keys = names.flatMap((name) => uids.map((uid) => `${name}-${uid}`));
    return keys.filter((key) => index.find({ type, key })?.alive === true);
  }

  it('tells subjects by the whole of what follows the prefix', () => {
    const index = new RelationIndex(types, () => undefined);
    assert.equal(index.split('system:provider:a:b')?.key, 'a:b');
    assert.equal(index.split('system:providers:a'), undefined);
    assert.equal(index.find({ type, key: '' }), undefined);
    assert.equal(index.find({ type, key: '__proto__' }), undefined);
  });

  it('finds nobody by a key that two have', () => {
    const index = new RelationIndex(types, () => undefined);
    const spec = { identityKey: 'k' };
    index.put(providersPrefix, undefined, 'a', provider('a', 'u1', { spec }));
    assert.equal(index.findByIdentity('k')?.name, 'a');
    index.put(providersPrefix, undefined, 'b', provider('b', 'u2', { spec }));
    assert.equal(index.findByIdentity('k'), undefined);
    index.put(providersPrefix, undefined, 'a', provider('a', 'u1', { spec: { ...spec, revoked: true } }));
    assert.equal(index.findByIdentity('k')?.name, 'b');
  });
});

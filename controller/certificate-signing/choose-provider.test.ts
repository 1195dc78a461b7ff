import assert from 'node:assert/strict';
import fc from 'fast-check';
import { chooseProvider } from './choose-provider.ts';
import type { Wanted } from './choose-provider.ts';
import { provider } from './signing-fixtures.ts';

const wanted: Wanted = { identityKey: 'mine', owner: 'alan', fixedName: undefined, proposedName: 'desk' };
const fixed: Wanted = { ...wanted, fixedName: 'desk' };

describe('chooseProvider()', () => {
  it('creates one by the proposed name, numbered where it is taken', () => {
    assert.deepEqual(chooseProvider([], wanted), { kind: 'create', name: 'desk' });
    assert.deepEqual(chooseProvider([provider('desk')], wanted), { kind: 'create', name: 'desk-2' }, 'not adopted: no token names it');
    assert.deepEqual(chooseProvider([provider('desk'), provider('desk-2'), provider('desk-4')], wanted), {
      kind: 'create',
      name: 'desk-3',
    });
    const long = `${'a'.repeat(60)}-bc`;
    assert.deepEqual(chooseProvider([provider(long)], { ...wanted, proposedName: long }), { kind: 'create', name: `${'a'.repeat(60)}-2` });
  });

  it('finds the machine by its key, the eldest where several have it', () => {
    const known = provider('old', { identityKey: 'mine' });
    assert.deepEqual(chooseProvider([provider('desk'), known], wanted), { kind: 'use', provider: known });
    const younger = { ...provider('a', { identityKey: 'mine' }), metadata: { name: 'a', creationTimestamp: '2027-01-01T00:00:00Z' } };
    assert.deepEqual(chooseProvider([younger, known], wanted), { kind: 'use', provider: known });
  });

  it('adopts the one that the token names, if it is the owner’s and nobody’s yet', () => {
    const made = provider('desk');
    assert.deepEqual(chooseProvider([made], fixed), { kind: 'adopt', provider: made });
    assert.deepEqual(chooseProvider([], fixed), { kind: 'create', name: 'desk' });
  });

  it('refuses what is another’s', () => {
    const refusals: [Parameters<typeof chooseProvider>[0], Wanted, string][] = [
      [[provider('desk', { owner: 'grace' })], fixed, 'NameTaken'],
      [[provider('desk', { identityKey: 'other' })], fixed, 'NameTaken'],
      [[provider('desk', { revoked: true })], fixed, 'ProviderRevoked'],
      [[provider('x', { identityKey: 'mine', owner: 'grace' })], wanted, 'IdentityTaken'],
      [[provider('x', { identityKey: 'mine' })], fixed, 'IdentityTaken'],
      [[provider('x', { identityKey: 'mine', revoked: true })], wanted, 'ProviderRevoked'],
    ];
    for (const [providers, want, reason] of refusals) {
      const choice = chooseProvider(providers, want);
      assert.equal(choice.kind === 'refuse' && choice.refusal.reason, reason);
    }
  });

  it('never answers a Provider of another key or owner, or a name that is taken', () => {
    const owner = fc.constantFrom('alan', 'grace');
    const key = fc.constantFrom('mine', 'theirs', undefined);
    const name = fc.constantFrom('desk', 'desk-2', 'desk-3', 'lab');
    const some = fc.uniqueArray(
      fc
        .record({ name, owner, key, revoked: fc.boolean() })
        .map((each) =>
          provider(each.name, { owner: each.owner, revoked: each.revoked, ...(each.key === undefined ? {} : { identityKey: each.key }) }),
        ),
      { selector: ({ metadata }) => metadata.name },
    );
    const want = fc.record({ owner, fixedName: fc.option(name, { nil: undefined }), proposedName: name, identityKey: fc.constant('mine') });
    fc.assert(
      fc.property(some, want, (providers, asked) => {
        const choice = chooseProvider(providers, asked);
        if (choice.kind === 'create') {
          assert.ok(!providers.some(({ metadata, spec }) => metadata.name === choice.name || spec.identityKey === 'mine'));
          assert.ok(asked.fixedName === undefined || asked.fixedName === choice.name);
        } else if (choice.kind !== 'refuse') {
          const { spec, metadata } = choice.provider;
          assert.equal(spec.owner, asked.owner);
          assert.equal(spec.identityKey, choice.kind === 'use' ? 'mine' : undefined);
          assert.ok(asked.fixedName === undefined || asked.fixedName === metadata.name);
          assert.notEqual(spec.revoked, true);
        }
      }),
    );
  });
});

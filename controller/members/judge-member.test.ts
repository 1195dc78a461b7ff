import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Member } from '../../api/generated/member.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { sshLine, sshLines } from '../../api/ssh-key-fixtures.ts';
import { judgeMember, memberStatus } from './judge-member.ts';
import type { MemberChange, MemberWorld } from './judge-member.ts';
import { memberOfPoolBinding, poolBindingName } from './member-objects.ts';
import { describeSshKeys } from './ssh-keys.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function member(spec: Member['spec'] = {}, status?: Member['status']): Member {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Member',
    metadata: { name: 'toto', uid: 'uid-1', generation: 3 },
    spec: { permissions: ['Use', 'Lend'], quota: { 'requests.cpu': 2, 'count/secrets': '10' }, ...spec },
    ...(status && { status }),
  };
}

const nothing: MemberWorld = { poolBindings: { Lend: undefined, Admin: undefined } };

/** The world after changes were made; a binding that is deleted is gone at once. */
function after(world: MemberWorld, changes: readonly MemberChange[]): MemberWorld {
  const next = { ...world, poolBindings: { ...world.poolBindings } };
  const places: Record<string, 'namespace' | 'roleBinding' | 'quota' | 'serviceAccount'> = {
    namespaces: 'namespace',
    rolebindings: 'roleBinding',
    resourcequotas: 'quota',
    serviceaccounts: 'serviceAccount',
  };
  for (const { kind, type, object } of changes) {
    const value = (kind === 'delete' ? undefined : object) as never;
    const place = places[type.plural];
    if (place !== undefined) next[place] = value;
    else next.poolBindings[object.metadata.name?.endsWith(':lend') === true ? 'Lend' : 'Admin'] = value;
  }
  return next;
}

function complete(of: Member): MemberWorld {
  return after(nothing, judgeMember(of, nothing).changes);
}

const summary = (changes: readonly MemberChange[]): string[] =>
  changes.map(({ kind, type, object }) => `${kind} ${type.plural} ${object.metadata.name ?? ''}`);

const without = <T extends KubernetesObject>(object: T | undefined, ...fields: ('labels' | 'ownerReferences')[]): T => {
  assert.ok(object);
  const copy = structuredClone(object);
  for (const field of fields) Reflect.deleteProperty(copy.metadata, field);
  return copy;
};

describe('judgeMember()', () => {
  it('makes the namespace first, and then what is in it', () => {
    assert.deepEqual(summary(judgeMember(member(), nothing).changes), [
      'create namespaces toto',
      'create rolebindings potluck:member',
      'create resourcequotas potluck',
      'create serviceaccounts toto',
      'create clusterrolebindings potluck:member:toto:lend',
    ]);
  });

  it('changes nothing where everything is as it should be, and reaches that from any permissions in two passes', () => {
    const permissions = fc.subarray(['Use', 'Lend', 'Admin'] as const).map((all) => [...all]);
    const quota = fc.dictionary(fc.constantFrom('requests.cpu', 'count/secrets', 'pods'), fc.nat({ max: 999 }), { maxKeys: 3 });
    const spec = fc.record({ permissions, quota });
    fc.assert(
      fc.property(spec, spec, (before, wanted) => {
        let world = complete(member(before));
        const rights = (): string[] =>
          [world.roleBinding, ...Object.values(world.poolBindings)].flatMap((binding) => (binding ? [binding.roleRef.name] : []));
        const allowed = [wanted.permissions.includes('Use') ? 'edit' : 'view'];
        if (wanted.permissions.includes('Lend')) allowed.push('potluck:lender');
        if (wanted.permissions.includes('Admin')) allowed.push('cluster-admin');
        for (let pass = 0; pass < 2; pass += 1) world = after(world, judgeMember(member(wanted), world).changes);
        assert.deepEqual(judgeMember(member(wanted), world).changes, []);
        assert.deepEqual(rights(), allowed);
        const hard = Object.fromEntries(Object.entries(wanted.quota).map(([name, count]) => [name, String(count)]));
        assert.deepEqual(world.quota?.spec?.hard ?? {}, hard);
      }),
    );
  });

  it('touches nothing in a namespace of somebody else, gives nothing, and takes what is not permitted any more', () => {
    const world = complete(member({ permissions: ['Use', 'Admin'] }));
    const foreign = { ...world, namespace: without(world.namespace, 'ownerReferences'), roleBinding: undefined, quota: undefined };
    const { changes, problem } = judgeMember(member({ permissions: ['Lend'] }), foreign);
    assert.deepEqual(summary(changes), ['delete clusterrolebindings potluck:member:toto:admin']);
    assert.equal(problem?.reason, 'NamespaceTaken');
  });

  it('waits for a namespace that goes', () => {
    const world = complete(member());
    world.namespace!.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const { changes, problem } = judgeMember(member(), world);
    assert.deepEqual([changes, problem?.reason], [[], 'NamespaceTerminating']);
  });

  it('waits for a binding that goes, rather than giving it back or calling it done', () => {
    const world = complete(member());
    world.roleBinding!.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    assert.deepEqual(judgeMember(member(), world), { changes: [], isWaiting: true });
  });

  it('puts back subjects, roles, bounds, owners and labels', () => {
    const world = complete(member());
    const binding = world.roleBinding!;
    const changed: [MemberWorld, string[]][] = [
      [{ ...world, roleBinding: { ...binding, subjects: [] } }, ['replace rolebindings potluck:member']],
      [{ ...world, roleBinding: { ...binding, roleRef: { ...binding.roleRef, name: 'admin' } } }, ['delete rolebindings potluck:member']],
      [{ ...world, quota: { ...world.quota!, spec: { hard: {} } } }, ['replace resourcequotas potluck']],
      [{ ...world, quota: without(world.quota, 'ownerReferences') }, ['replace resourcequotas potluck']],
      [{ ...world, namespace: without(world.namespace, 'labels') }, ['replace namespaces toto']],
    ];
    for (const [drifted, expected] of changed) assert.deepEqual(summary(judgeMember(member(), drifted).changes), expected);
  });

  it('does away with an account that is not its own, since its tokens are not either', () => {
    const world = complete(member());
    const { changes } = judgeMember(member(), { ...world, serviceAccount: without(world.serviceAccount, 'ownerReferences') });
    assert.deepEqual(summary(changes), ['delete serviceaccounts toto']);
  });
});

describe('memberStatus()', () => {
  const facts = { problem: undefined, sshKeys: [], keyProblems: [], nowMs };

  it('says what the member may, and is the same object when there is nothing to write', () => {
    const first = memberStatus({ ...facts, member: member() });
    assert.deepEqual(
      first.conditions?.map(({ type, status, reason, message }) => [type, status, reason, message]),
      [
        ['Ready', 'True', 'Provisioned', 'may use the pool, lend machines'],
        ['SSHKeysValid', 'True', 'KeysRead', 'every SSH key can be read'],
      ],
    );
    const again = member({}, first);
    assert.equal(memberStatus({ ...facts, member: again, nowMs: nowMs + 1 }), again.status);
    const grown = { ...again, metadata: { ...again.metadata, generation: 4 } };
    assert.equal(memberStatus({ ...facts, member: grown }).observedGeneration, 4);
  });

  it('has no namespace while there is a problem', () => {
    const before = member({}, memberStatus({ ...facts, member: member() }));
    const status = memberStatus({ ...facts, member: before, problem: { reason: 'NamespaceTaken', message: 'taken' } });
    assert.equal(status.namespace, undefined);
    assert.equal(status.conditions?.[0]?.status, 'False');
  });
});

describe('describeSshKeys()', () => {
  it('names by its place what the schema took and what is no key', () => {
    const wrong = sshLine('ssh-ed25519', new Uint8Array(31));
    const { sshKeys, keyProblems } = describeSshKeys(member({ sshKeys: [`${sshLines['ssh-ed25519']} at home`, wrong] }), () => 'aGFzaA==');
    assert.deepEqual(sshKeys, [{ type: 'ssh-ed25519', bits: 256, fingerprint: 'SHA256:aGFzaA', comment: 'at home' }]);
    assert.match(keyProblems.join(), /^spec\.sshKeys\[1\]: /);
  });
});

describe('poolBindingName()', () => {
  it('leads back to the member', () => {
    assert.equal(memberOfPoolBinding(poolBindingName('a-b', 'Admin')), 'a-b');
    assert.equal(memberOfPoolBinding('potluck:lender'), undefined);
  });
});

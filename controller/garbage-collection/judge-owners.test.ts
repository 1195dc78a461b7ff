import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubernetesObject } from '../../api/object.ts';
import { judgeDependent } from './judge-owners.ts';
import type { OwnerState } from './judge-owners.ts';

function owned(
  states: OwnerState[],
  metadata: Partial<KubernetesObject['metadata']> = {},
): [KubernetesObject, (owner: { uid: string }) => OwnerState] {
  const ownerReferences = states.map((_, index) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: `o${index}`, uid: `${index}` }));
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ownerReferences, ...metadata } };
  return [object, ({ uid }) => states[Number(uid)] ?? 'unknown'];
}

describe('judgeDependent()', () => {
  it('never deletes what has an owner that is there, or of which nobody could say', () => {
    const states = fc.array(fc.constantFrom<OwnerState>('present', 'absent', 'waiting', 'unknown'), { maxLength: 4 });
    fc.assert(
      fc.property(states, fc.boolean(), (drawn, hasDependents) => {
        const change = judgeDependent(...owned(drawn), hasDependents);
        const mayGo = drawn.length > 0 && drawn.every((state) => state === 'absent' || state === 'waiting');
        assert.equal(change.kind === 'delete', mayGo);
        if (change.kind === 'keep-owners')
          assert.ok(change.ownerReferences.every(({ uid }) => ['present', 'unknown'].includes(drawn[Number(uid)]!)));
      }),
    );
  });

  it('keeps only references to owners that are there or unknown', () => {
    const change = judgeDependent(...owned(['present', 'absent', 'unknown', 'waiting']), false);
    assert.ok(change.kind === 'keep-owners');
    assert.deepEqual(
      change.ownerReferences.map(({ name }) => name),
      ['o0', 'o2'],
    );
  });

  it('passes foreground deletion on, and honours what the object itself says', () => {
    assert.deepEqual(judgeDependent(...owned(['waiting']), true), { kind: 'delete', propagationPolicy: 'Foreground' });
    assert.deepEqual(judgeDependent(...owned(['waiting']), false), { kind: 'delete', propagationPolicy: 'Background' });
    assert.deepEqual(judgeDependent(...owned(['absent'], { finalizers: ['orphan'] }), true), {
      kind: 'delete',
      propagationPolicy: 'Orphan',
    });
    assert.equal(judgeDependent(...owned(['absent'], { deletionTimestamp: '2026-01-01T00:00:00Z' }), true).kind, 'none');
  });
});

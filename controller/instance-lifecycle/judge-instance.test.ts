import assert from 'node:assert/strict';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { containerFinalizer } from '../../api/names.ts';
import { judgeInstance } from './judge-instance.ts';

const at = '2026-01-01T00:00:00Z';
const assignment = { providerName: 'desk', providerUID: 'uid-1', epoch: 3 };

function instance(status?: Instance['status'], metadata: Partial<Instance['metadata']> = {}): Instance {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name: 'a', namespace: 'toto', uid: 'u', finalizers: [containerFinalizer], ...metadata },
    spec: { image: 'debian:12', resources: { requests: { cpu: 1, memory: '1Gi' } } },
    ...(status && { status }),
  };
}

function provider(ready: 'True' | 'False' | 'Unknown'): Provider {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name: 'desk', uid: 'uid-1' },
    spec: { owner: 'alan', offer: {} },
    status: { conditions: [{ type: 'Ready', status: ready, reason: 'R', message: '', lastTransitionTime: at }] },
  };
}

function removed(observedEpoch: number): NonNullable<Instance['status']> {
  const condition = { type: 'ContainerRemoved', status: 'True' as const, reason: 'Removed', message: '', lastTransitionTime: at };
  return { phase: 'Running', assignment, observedEpoch, conditions: [condition] };
}

function phaseAfter(change: ReturnType<typeof judgeInstance>): string | undefined {
  return change.kind === 'status' ? change.status.phase : change.kind;
}

describe('judgeInstance()', () => {
  it('stores the finalizer first, and says Pending only when the scheduler says nothing', () => {
    const born = { creationTimestamp: at };
    const bornMs = Date.parse(at);
    assert.deepEqual(judgeInstance(instance(undefined, { ...born, finalizers: [] }), undefined, bornMs), { kind: 'add-finalizer' });
    assert.deepEqual(judgeInstance(instance(undefined, born), undefined, bornMs + 500), { kind: 'wait', delayMs: 1_500 });
    assert.equal(phaseAfter(judgeInstance(instance(undefined, born), undefined, bornMs + 2_000)), 'Pending');
    assert.equal(phaseAfter(judgeInstance(instance(undefined, born), undefined, bornMs - 60_000)), 'Pending', 'clocks that differ');
    assert.deepEqual(judgeInstance(instance({ phase: 'Pending' }, born), undefined, bornMs), { kind: 'none' });
  });

  it('removes the finalizer of what has no assignment, or whose container is gone at the current epoch', () => {
    const deleted = { deletionTimestamp: at };
    assert.equal(judgeInstance(instance({ phase: 'Pending', lastEpoch: 2 }, deleted), undefined, 0).kind, 'remove-finalizer');
    assert.equal(judgeInstance(instance(removed(3), deleted), provider('True'), 0).kind, 'remove-finalizer');
    assert.equal(judgeInstance(instance(removed(2), deleted), provider('True'), 0).kind, 'none');
    assert.equal(judgeInstance(instance({ phase: 'Running', assignment, observedEpoch: 3 }, deleted), provider('Unknown'), 0).kind, 'none');
  });

  it('asks whether a provider that it does not know is really gone', () => {
    const change = judgeInstance(instance({ phase: 'Running', assignment }, { deletionTimestamp: at }), undefined, 0);
    assert.deepEqual(change, { kind: 'remove-finalizer-if-gone', providerName: 'desk', providerUid: 'uid-1' });
  });

  it('never adds the finalizer to what is being deleted', () => {
    assert.equal(
      judgeInstance(instance({ phase: 'Pending' }, { deletionTimestamp: at, finalizers: ['other'] }), undefined, 0).kind,
      'none',
    );
  });

  it('says Lost only when the provider is Unknown, and never of what is finished', () => {
    for (const phase of ['Assigned', 'Running', 'Stopped'] as const) {
      assert.equal(phaseAfter(judgeInstance(instance({ phase, assignment }), provider('Unknown'), 0)), 'Lost');
      assert.equal(judgeInstance(instance({ phase, assignment }), provider('False'), 0).kind, 'none');
    }
    for (const phase of ['Succeeded', 'Failed'] as const) {
      assert.equal(judgeInstance(instance({ phase, assignment }), provider('Unknown'), 0).kind, 'none');
    }
  });

  it('finds it again as it was last known to be', () => {
    const lost = { phase: 'Lost' as const, assignment };
    assert.equal(phaseAfter(judgeInstance(instance({ ...lost, state: { running: {} } }), provider('True'), 0)), 'Running');
    assert.equal(phaseAfter(judgeInstance(instance(lost), provider('False'), 0)), 'Assigned');
    const stopped = instance({ ...lost, state: { terminated: { exitCode: 0 } } });
    stopped.spec.powerState = 'Stopped';
    assert.equal(phaseAfter(judgeInstance(stopped, provider('True'), 0)), 'Stopped');
  });
});

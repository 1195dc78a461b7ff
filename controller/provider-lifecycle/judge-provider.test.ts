import assert from 'node:assert/strict';
import type { Provider } from '../../api/generated/provider.ts';
import { judgeProvider } from './judge-provider.ts';
import { LeaseWatch } from './lease-watch.ts';

const leaseDurationMs = 40_000;
const nowMs = Date.parse('2026-01-01T00:10:00Z');

function provider(spec: Partial<Provider['spec']> = {}, status?: Provider['status']): Provider {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name: 'desk', uid: 'uid-1', generation: 1 },
    spec: { owner: 'alan', offer: {}, available: true, withdrawalGraceSeconds: 60, ...spec },
    ...(status && { status }),
  };
}

function lease(renewTime: string, holderIdentity = 'uid-1'): Parameters<LeaseWatch['see']>[1] {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'desk' }, spec: { holderIdentity, renewTime } };
}

/** What the provider's status becomes when the watch has seen so much. */
function judge(of: Provider, watch: LeaseWatch, monotonicMs: number, isEmpty = false): ReturnType<typeof judgeProvider> {
  return judgeProvider({ provider: of, lease: watch.ageOf('desk', monotonicMs), leaseDurationMs, isEmpty, nowMs });
}

function summary({ status }: ReturnType<typeof judgeProvider>): string {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return `${status.phase} ${ready?.status} ${ready?.reason}`;
}

describe('judgeProvider()', () => {
  it('is Pending until a lease of its own uid is seen', () => {
    const watch = new LeaseWatch(0);
    assert.equal(summary(judge(provider(), watch, 1_000)), 'Pending Unknown NoLease');
    watch.see('desk', lease('a', 'another-uid'), 1_000);
    assert.equal(summary(judge(provider(), watch, 1_000)), 'Pending Unknown NoLease');
    watch.see('desk', lease('a'), 2_000);
    assert.equal(summary(judge(provider(), watch, 2_000)), 'Ready True LeaseRenewed');
  });

  it('is Unknown 40 s after we saw the last renewal, whatever time the agent wrote', () => {
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('2099-01-01T00:00:00.000000Z'), 1_000);
    const ready = judge(provider(), watch, 1_000);
    assert.equal(ready.recheckAfterMs, leaseDurationMs);
    const known = provider({}, ready.status);
    assert.equal(judge(known, watch, 40_999).status, known.status, 'nothing to write');
    const late = judge(known, watch, 41_000);
    assert.equal(summary(late), 'Unknown Unknown LeaseExpired');
    assert.ok(late.becomesUnknown);
    watch.see('desk', lease('1999-01-01T00:00:00.000000Z'), 50_000);
    assert.equal(summary(judge(provider({}, late.status), watch, 50_000)), 'Ready True LeaseRenewed');
  });

  it('does not believe a lease that was found to be a renewal of a provider that is Unknown', () => {
    const unknown = provider({}, expired);
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('a'), 1_000);
    assert.equal(summary(judge(unknown, watch, 1_000)), 'Unknown Unknown LeaseExpired');
    watch.see('desk', lease('b'), 2_000);
    assert.equal(summary(judge(unknown, watch, 2_000)), 'Ready True LeaseRenewed');
  });

  it('gives everyone the whole time again after we were away, and brings nobody back', () => {
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('a'), 1_000);
    watch.see('desk', lease('b'), 2_000);
    const ready = provider({}, judge(provider(), watch, 2_000).status);
    watch.restart(100_000);
    assert.equal(summary(judge(ready, watch, 139_999)), 'Ready True LeaseRenewed');
    assert.equal(summary(judge(ready, watch, 140_000)), 'Unknown Unknown LeaseExpired');
    assert.equal(summary(judge(provider({}, expired), watch, 100_001)), 'Unknown Unknown LeaseExpired');
  });

  it('counts from our start for a provider that was Ready and whose lease is nowhere', () => {
    const ready = provider({}, { phase: 'Ready', conditions: [{ ...expiredCondition, status: 'True', reason: 'LeaseRenewed' }] });
    const watch = new LeaseWatch(5_000);
    assert.equal(judge(ready, watch, 44_999).becomesUnknown, false);
    assert.equal(judge(ready, watch, 45_000).becomesUnknown, true);
  });

  it('clears assignments when the grace is over, not before, and never those of a provider that is Unknown', () => {
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('a'), 0);
    const first = judge(provider({ available: false }), watch, 0);
    assert.equal(summary(first), 'Withdrawing False Withdrawing');
    assert.equal(first.status.withdrawnAt, '2026-01-01T00:10:00Z');
    assert.equal(first.clearAssignments, false);
    const at = (withdrawnAt: string): Provider => provider({ available: false }, { ...first.status, withdrawnAt });
    assert.equal(judge(at('2026-01-01T00:09:01Z'), watch, 0).clearAssignments, false);
    assert.equal(judge(at('2026-01-01T00:09:00Z'), watch, 0).clearAssignments, true);
    assert.equal(judge(at('2026-01-01T00:09:00Z'), watch, 0, true).clearAssignments, false);
    const away = judge(at('2026-01-01T00:09:00Z'), watch, 40_000);
    assert.equal(away.clearAssignments, false);
    assert.equal(summary(away), 'Withdrawing Unknown LeaseExpired');
  });

  it('is Withdrawn when it is empty, and back when its owner says so', () => {
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('a'), 0);
    const withdrawn = judge(provider({ available: false }), watch, 0, true);
    assert.equal(summary(withdrawn), 'Withdrawn False Withdrawn');
    const back = judge(provider({}, withdrawn.status), watch, 0, true);
    assert.equal(summary(back), 'Ready True LeaseRenewed');
    assert.ok(!('withdrawnAt' in back.status));
  });

  it('counts a machine that leaves as withdrawn, from when it said so', () => {
    const watch = new LeaseWatch(0);
    watch.see('desk', lease('a'), 0);
    const leaving = (leavingAt: string, status?: Provider['status']): Provider => provider({}, { ...status, leavingAt });
    const first = judge(leaving('2026-01-01T00:09:30Z'), watch, 0);
    assert.equal(summary(first), 'Withdrawing False Withdrawing');
    assert.match(first.status.conditions?.[0]?.message ?? '', /^it leaves the pool/);
    assert.deepEqual([first.status.withdrawnAt, first.clearAssignments], ['2026-01-01T00:09:30Z', false]);
    assert.equal(first.recheckAfterMs, 30_000);
    assert.equal(summary(judge(leaving('2026-01-01T00:09:30Z', first.status), watch, 0, true)), 'Withdrawn False Withdrawn');
    // `potluck leave --now`, also after one without.
    assert.equal(judge(leaving('2026-01-01T00:09:00Z', first.status), watch, 0).clearAssignments, true);
    // A clock that runs ahead.
    assert.equal(judge(leaving('2030-01-01T00:00:00Z'), watch, 0).status.withdrawnAt, '2026-01-01T00:10:00Z');
    const stays = { ...first.status };
    delete stays.leavingAt;
    const back = judge(provider({}, stays), watch, 0);
    assert.deepEqual([summary(back), 'withdrawnAt' in back.status], ['Ready True LeaseRenewed', false]);
  });
});

const expiredCondition = {
  type: 'Ready',
  status: 'Unknown' as const,
  reason: 'LeaseExpired',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};
const expired: NonNullable<Provider['status']> = { phase: 'Unknown', conditions: [expiredCondition] };

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Gateway } from '../../api/generated/gateway.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Lease } from '../../api/resource-type.ts';
import { createFakeClock } from '../../runtime/fake-clock.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import { judgeStream } from './judge-stream.ts';
import type { StreamQuestion } from './judge-stream.ts';
import { livingGateways, orderGateways } from './order-gateways.ts';
import { watchWaking } from './wake-watch.ts';

describe('orderGateways()', () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 12 });

  it('has each once, whatever order they come in, and keeps the order of the others when one goes', () => {
    fc.assert(
      fc.property(fc.uuid(), names, fc.nat(), (uid, all, at) => {
        const gateways = all.map((name) => ({ name }));
        const ordered = orderGateways(uid, gateways).map(({ name }) => name);
        assert.deepEqual(
          orderGateways(uid, gateways.toReversed()).map(({ name }) => name),
          ordered,
        );
        assert.deepEqual(ordered.toSorted(), all.toSorted());
        const gone = all[at % Math.max(all.length, 1)];
        const others = orderGateways(
          uid,
          gateways.filter(({ name }) => name !== gone),
        ).map(({ name }) => name);
        assert.deepEqual(
          others,
          ordered.filter((name) => name !== gone),
        );
      }),
    );
  });

  it('spreads providers evenly', () => {
    const counts = new Map<string, number>();
    for (let index = 0; index < 3_000; index += 1) {
      const [first] = orderGateways(`provider-${index}`, [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
      counts.set(first!.name, (counts.get(first!.name) ?? 0) + 1);
    }
    for (const count of counts.values()) assert.ok(count > 850 && count < 1_150, String(count));
  });
});

describe('livingGateways()', () => {
  const gateway = (name: string): Gateway => ({ metadata: { name }, spec: { tunnelAddresses: [`${name}:1`] } }) as unknown as Gateway;
  const lease = (name: string, second: number): Lease =>
    ({ metadata: { name }, spec: { renewTime: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString() } }) as unknown as Lease;
  const names = (gateways: Gateway[], leases: Lease[]): string[] => livingGateways(gateways, leases).map(({ name }) => name);

  it('leaves out those that were not renewed as others were, by the leases’ own time, but not all', () => {
    assert.deepEqual(names([gateway('a'), gateway('b')], [lease('a', 0), lease('b', 39)]), ['a', 'b']);
    assert.deepEqual(names([gateway('a'), gateway('b')], [lease('a', 0), lease('b', 40)]), ['b']);
    assert.deepEqual(names([gateway('a'), gateway('b')], [lease('b', 40)]), ['b']);
    assert.deepEqual(names([gateway('a'), gateway('b')], []), ['a', 'b']);
    assert.deepEqual(names([gateway('a')], [lease('other', 59)]), ['a']);
    assert.deepEqual(names([], [lease('a', 0)]), []);
  });
});

describe('judgeStream()', () => {
  const container = (state: string): ObservedContainer => ({ id: 'c', state }) as unknown as ObservedContainer;
  const instance = (epoch: number, powerState = 'Running', providerUID = 'p'): Instance =>
    ({
      metadata: { namespace: 'toto', name: 'web' },
      spec: { powerState },
      status: { assignment: { providerUID, epoch } },
    }) as unknown as Instance;
  const good: StreamQuestion = {
    kind: 'ssh',
    isServed: true,
    askedEpoch: 3,
    providerUid: 'p',
    isSynced: true,
    instance: instance(3),
    ownEpoch: 3,
    containers: [container('running')],
  };
  const code = (change: Partial<StreamQuestion>): number => {
    const verdict = judgeStream({ ...good, ...change });
    return 'refusal' in verdict ? (verdict.refusal.code ?? 0) : 200;
  };

  it('takes what runs here at the epoch that is asked for, and refuses the rest with its code', () => {
    assert.equal(code({}), 200);
    assert.equal(code({ isServed: false }), 400);
    assert.equal(code({ instance: undefined }), 404);
    assert.equal(code({ instance: undefined, isSynced: false }), 503);
    assert.equal(code({ instance: instance(3, 'Running', 'other') }), 404);
    assert.equal(code({ askedEpoch: 2 }), 409);
    assert.equal(code({ askedEpoch: 4 }), 409);
    assert.equal(code({ ownEpoch: 2 }), 409);
    assert.equal(code({ ownEpoch: undefined }), 409);
    assert.equal(code({ instance: instance(3, 'Stopped') }), 409);
    for (const state of ['exited', 'created', 'paused', 'dead']) assert.equal(code({ containers: [container(state)] }), 409, state);
    assert.equal(code({ containers: [] }), 409);
    assert.equal(code({ kind: 'logs', containers: [container('exited')], instance: instance(3, 'Stopped') }), 200);
    assert.equal(code({ kind: 'logs', containers: [] }), 200);
    assert.equal(code({ kind: 'logs', askedEpoch: 2 }), 409);
  });
});

describe('watchWaking()', () => {
  it('tells of a sleep and of a standstill, and not of a clock that is set a little', () => {
    const clock = createFakeClock();
    let skewMs = 0;
    let woken = 0;
    const stop = watchWaking(() => (woken += 1), { ...clock, nowMs: () => clock.nowMs() + skewMs });
    clock.advance(60_000);
    skewMs += 4_000;
    clock.advance(60_000);
    assert.equal(woken, 0);
    // The wall clock went on in sleep, the monotonic one did not.
    skewMs += 3_600_000;
    clock.advance(1_000);
    assert.equal(woken, 1);
    clock.advance(60_000);
    assert.equal(woken, 1);
    stop();
    skewMs += 3_600_000;
    clock.advance(60_000);
    assert.equal(woken, 1);
  });
});

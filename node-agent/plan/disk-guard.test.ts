import assert from 'node:assert/strict';
import type { ObservedContainer } from '../engine/engine.ts';
import type { DiskOrder } from '../limits/disk-watchdog.ts';
import { guardDisk } from './disk-guard.ts';
import type { Decision, DesiredInstance, JournalEntry, World } from './world.ts';

const journal: JournalEntry = { uid: 'u', epoch: 1, restartCount: 0, crashCount: 0, stopRequested: false };

function guard(
  state: ObservedContainer['state'] | undefined,
  parts: { act?: DiskOrder['act']; closed?: string; paused?: boolean } = {},
): Decision | undefined {
  const { act, closed, paused } = parts;
  const world = {
    nowMs: 0,
    diskOrders: new Map(act === undefined ? [] : [['c', { act, message: 'full' }]]),
    ...(closed === undefined ? {} : { diskClosed: closed }),
  } as unknown as World;
  const container = state === undefined ? undefined : ({ id: 'c', state } as ObservedContainer);
  const entry = paused === true ? { ...journal, pausedForDisk: true } : journal;
  return guardDisk({ world, desired: { uid: 'u' } as DesiredInstance, journal: entry }, container);
}

describe('guardDisk()', () => {
  it('lets run what has room, and what is only near its limit', () => {
    assert.equal(guard('running'), undefined);
    assert.equal(guard('running', { act: 'warn' }), undefined);
    assert.equal(guard('exited'), undefined);
    assert.equal(guard(undefined), undefined);
  });

  it('freezes what is full, once, and remembers that it did', () => {
    const { action, waiting } = guard('running', { act: 'pause' }) ?? {};
    assert.ok(action?.type === 'pause' && action.journal.pausedForDisk === true);
    assert.deepEqual(waiting, { reason: 'DiskPressure', message: 'full' });
    assert.equal(guard('paused', { act: 'pause', paused: true })?.action, undefined);
  });

  it('lets go what it froze itself when there is room, and nothing else', () => {
    const { action } = guard('paused', { paused: true }) ?? {};
    assert.ok(action?.type === 'unpause' && action.journal.pausedForDisk === undefined);
    assert.equal(guard('paused'), undefined, 'the owner froze it');
    assert.equal(guard('running', { paused: true })?.action?.type, 'adopt', 'somebody else let it go');
  });

  it('stops what is far beyond, also when it is frozen, and does not start it again', () => {
    for (const state of ['running', 'paused'] as const) {
      const { action } = guard(state, { act: 'stop', paused: true }) ?? {};
      assert.ok(action?.type === 'stop' && action.journal.stopRequested && action.journal.pausedForDisk === undefined);
    }
    assert.deepEqual(guard('exited', { act: 'stop' }), { waiting: { reason: 'DiskPressure', message: 'full' } });
  });

  it('starts nothing while the machine itself has no room, and leaves what runs', () => {
    assert.equal(guard('exited', { closed: 'no room' })?.waiting?.message, 'no room');
    assert.equal(guard(undefined, { closed: 'no room' })?.waiting?.message, 'no room');
    assert.equal(guard('running', { closed: 'no room' }), undefined);
  });
});

import assert from 'node:assert/strict';
import { findCondition, isTrue, setCondition } from './conditions.ts';
import type { Condition } from './object.ts';

const early = Date.parse('2026-01-01T00:00:00Z');
const late = early + 60_000;
const ready = { type: 'Ready', status: 'True', reason: 'Running', message: 'it runs', observedGeneration: 1 } as const;

describe('setCondition()', () => {
  it('adds a missing condition at the end with the time given', () => {
    const conditions = setCondition(setCondition(undefined, { ...ready, type: 'Scheduled' }, early), ready, late);
    assert.deepEqual(
      conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
      [
        ['Scheduled', '2026-01-01T00:00:00Z'],
        ['Ready', '2026-01-01T00:01:00Z'],
      ],
    );
  });

  it('moves lastTransitionTime only when the status changes', () => {
    const first = setCondition(undefined, ready, early);
    const reworded = setCondition(first, { ...ready, reason: 'Other', message: 'other' }, late);
    assert.deepEqual(reworded, [{ ...ready, reason: 'Other', message: 'other', lastTransitionTime: '2026-01-01T00:00:00Z' }]);
    const failed = setCondition(reworded, { ...ready, status: 'False' }, late);
    assert.equal(failed[0]?.lastTransitionTime, '2026-01-01T00:01:00Z');
  });

  it('always moves observedGeneration', () => {
    const first = setCondition(undefined, ready, early);
    const second = setCondition(first, { ...ready, observedGeneration: 2 }, late);
    assert.equal(second[0]?.observedGeneration, 2);
    assert.equal(second[0].lastTransitionTime, first[0]?.lastTransitionTime);
  });

  it('answers the same array when nothing changed, and never changes the one it was given', () => {
    const first: Condition[] = setCondition(undefined, ready, early);
    const copy = structuredClone(first);
    assert.equal(setCondition(first, ready, late), first);
    assert.notEqual(setCondition(first, { ...ready, status: 'Unknown' }, late), first);
    assert.deepEqual(first, copy);
  });
});

describe('isTrue() and findCondition()', () => {
  it('take a missing list or condition as not true', () => {
    assert.equal(isTrue(undefined, 'Ready'), false);
    assert.equal(isTrue(setCondition(undefined, { ...ready, status: 'Unknown' }, early), 'Ready'), false);
    assert.equal(isTrue(setCondition(undefined, ready, early), 'Ready'), true);
    assert.equal(findCondition(undefined, 'Ready'), undefined);
  });
});

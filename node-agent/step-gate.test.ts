import assert from 'node:assert/strict';
import { StepGate } from './step-gate.ts';

describe('StepGate', () => {
  it('lets so many through at a time, in order, and goes on after one that failed', async () => {
    const gate = new StepGate(2);
    const ends: { promise: Promise<undefined>; resolve: (value: undefined) => void; reject: (error: Error) => void }[] = [];
    const started: number[] = [];
    const step = (index: number): Promise<undefined> =>
      gate.run(() => {
        started.push(index);
        const end = Promise.withResolvers<undefined>();
        ends.push(end);
        return end.promise;
      });
    const steps = [step(0), step(1), step(2), step(3)];
    assert.deepEqual(started, [0, 1]);
    ends[1]?.reject(new Error('as the test wants it'));
    await assert.rejects(steps[1] ?? Promise.resolve(), /as the test wants it/);
    assert.deepEqual(started, [0, 1, 2]);
    ends[0]?.resolve(undefined);
    await steps[0];
    assert.deepEqual(started, [0, 1, 2, 3]);
    for (const end of ends) end.resolve(undefined);
    await Promise.allSettled(steps);
    await gate.run(() => Promise.resolve());
  });
});

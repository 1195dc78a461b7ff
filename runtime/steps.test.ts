import assert from 'node:assert/strict';
import { recheckAfter, settled } from './controller.ts';
import type { Outcome } from './controller.ts';
import { runSteps } from './steps.ts';
import type { Step } from './steps.ts';

const step = (name: string, outcome: Outcome): Step<string[]> => ({
  name,
  run: (state) => {
    state.push(name);
    return outcome;
  },
});

describe('runSteps()', () => {
  it('runs every step in order while each is settled', async () => {
    const state: string[] = [];
    assert.deepEqual(await runSteps([step('a', settled), step('b', settled)], state), settled);
    assert.deepEqual(state, ['a', 'b']);
  });

  it('ends with the first outcome that is not settled', async () => {
    const state: string[] = [];
    const outcome = await runSteps([step('a', settled), step('b', recheckAfter(5)), step('c', settled)], state);
    assert.deepEqual([outcome, state], [recheckAfter(5), ['a', 'b']]);
  });
});

import type { Outcome } from './controller.ts';
import { settled } from './controller.ts';

/** One part of a reconciler's pass. What it throws ends the pass. */
export interface Step<S> {
  /** kebab-case; for logs and tests. */
  readonly name: string;
  run(state: S): Promise<Outcome> | Outcome;
}

/** Runs the steps in order. The first that is not settled ends the pass with its outcome; what comes after it waits for the next pass. */
export async function runSteps<S>(steps: readonly Step<S>[], state: S, onStep?: (name: string) => void): Promise<Outcome> {
  for (const step of steps) {
    onStep?.(step.name);
    const outcome = await step.run(state);
    if (!outcome.settled) return outcome;
  }
  return settled;
}

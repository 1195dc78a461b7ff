/** What a control loop is. `manager.ts` runs them; the shapes follow sigs.k8s.io/controller-runtime. */
import type { Logger } from './logger.ts';

/** The world is as it should be for this key, or will be after `recheckAfterMs`. Anything else is a throw. */
export type Outcome = { settled: true } | { settled: false; recheckAfterMs: number };

export const settled: Outcome = { settled: true };
export function recheckAfter(delayMs: number): Outcome {
  return { settled: false, recheckAfterMs: delayMs };
}

export interface ReconcileContext {
  /** Carries the controller's name and the key. */
  logger: Logger;
  /** Aborted when the pass takes too long or the program stops. */
  signal: AbortSignal;
  /** Milliseconds since the epoch, read once at the start of the pass. */
  nowMs: number;
}

/** One duty. Gets a key, reads the world itself; never gets an event. Never runs twice at once for one key. */
export interface Controller {
  /** kebab-case, named for its duty; becomes the label in logs and metrics. */
  readonly name: string;
  /** How many keys may be worked on at once. */
  readonly concurrency: number;
  /** Called once before the first pass: subscribe to informers here and enqueue keys. */
  start(enqueue: (key: string, delayMs?: number) => void): void;
  reconcile(key: string, context: ReconcileContext): Promise<Outcome>;
}

/** A human must act: no retry before the object changes. Becomes a condition and one event, not a stream of errors. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Something else must happen first: retried with backoff, logged quietly. */
export class WaitingError extends Error {
  override readonly name = 'WaitingError';
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

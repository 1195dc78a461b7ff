/** What the manager measures. `metrics.ts` keeps it for Prometheus; programs that publish nothing pass none. */
export type PassResult = 'success' | 'requeue_after' | 'stalled' | 'waiting' | 'error';

export interface ControllerMetrics {
  workers(controller: string, count: number): void;
  passStarted(controller: string): void;
  passEnded(controller: string, result: PassResult, seconds: number): void;
  passTimedOut(controller: string): void;
  keyAdded(controller: string, depth: number): void;
  keyTaken(controller: string, depth: number, waitedSeconds: number): void;
  keyRetried(controller: string): void;
}

export const noControllerMetrics: ControllerMetrics = {
  workers: () => undefined,
  passStarted: () => undefined,
  passEnded: () => undefined,
  passTimedOut: () => undefined,
  keyAdded: () => undefined,
  keyTaken: () => undefined,
  keyRetried: () => undefined,
};

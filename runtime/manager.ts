/**
 * Runs controllers: workers, timeouts, retries, metrics and logs are its business, so that a reconciler holds nothing but its duty.
 * After sigs.k8s.io/controller-runtime `pkg/internal/controller`.
 */
import { isConflict } from '../client/client.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { noControllerMetrics } from './controller-metrics.ts';
import type { ControllerMetrics, PassResult } from './controller-metrics.ts';
import { StalledError, WaitingError } from './controller.ts';
import type { Controller, Outcome } from './controller.ts';
import type { Logger } from './logger.ts';
import { createWorkQueue } from './work-queue.ts';
import type { WorkQueue } from './work-queue.ts';

export interface ManagerOptions {
  logger: Logger;
  metrics?: ControllerMetrics;
  clock?: Clock;
  /** From [0, 1). */
  random?: () => number;
  /** The signal of a pass aborts after this long; 30 s. */
  passTimeoutMs?: number;
  /** A pass that does not heed its signal gives its worker back after this long; its key stays taken until it ends. 5 s. */
  abortGraceMs?: number;
  /** How long {@link Manager.stop} waits for passes; 10 s. */
  stopTimeoutMs?: number;
}

/** Runs once: after a stop, or for another term as leader, make a new one with new controllers. */
export interface Manager {
  /** Before {@link start}. Names are unique. */
  add(controller: Controller): void;
  /** Starts every controller, in the order in which they were added. Throws what a controller's `start` throws, after stopping the rest. */
  start(): void;
  /** Aborts what runs and resolves when every pass ended, or rejects after the bound, naming the controllers that hang. Safe to repeat. */
  stop(): Promise<void>;
}

export function createManager(options: ManagerOptions): Manager {
  const controllers: Controller[] = [];
  const runners: ControllerRunner[] = [];
  const stopping = new AbortController();
  let state: 'idle' | 'running' | 'stopped' = 'idle';

  async function stop(): Promise<void> {
    state = 'stopped';
    stopping.abort(new Error('the program stops'));
    const { clock = systemClock, stopTimeoutMs = 10_000 } = options;
    for (const runner of runners) runner.shutDown();
    await within(Promise.all(runners.map((runner) => runner.whenIdle())), clock, stopTimeoutMs);
    const hanging = runners.filter((runner) => runner.activePasses > 0).map((runner) => runner.name);
    if (hanging.length > 0) throw new Error(`passes still run after ${stopTimeoutMs / 1000} s: ${hanging.join(', ')}`);
  }

  return {
    add(controller) {
      if (state !== 'idle') throw new Error(`controller ${controller.name} comes too late: the manager was started`);
      if (controllers.some(({ name }) => name === controller.name)) throw new Error(`there are two controllers named ${controller.name}`);
      controllers.push(controller);
    },
    start() {
      if (state !== 'idle') throw new Error('the manager was started before');
      state = 'running';
      try {
        for (const controller of controllers) {
          const runner = new ControllerRunner(controller, options, stopping.signal);
          runners.push(runner);
          runner.start();
        }
      } catch (error) {
        state = 'stopped';
        stopping.abort(error);
        for (const runner of runners) runner.shutDown();
        throw error;
      }
    },
    stop,
  };
}

class ControllerRunner {
  activePasses = 0;
  readonly #controller: Controller;
  readonly #options: ManagerOptions;
  readonly #clock: Clock;
  readonly #metrics: ControllerMetrics;
  readonly #logger: Logger;
  readonly #stopping: AbortSignal;
  readonly #queue: WorkQueue;
  #idleWaiters: (() => void)[] = [];

  constructor(controller: Controller, options: ManagerOptions, stopping: AbortSignal) {
    this.#controller = controller;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#metrics = options.metrics ?? noControllerMetrics;
    this.#logger = options.logger.child({ controller: controller.name });
    this.#stopping = stopping;
    this.#queue = createWorkQueue({
      clock: this.#clock,
      random: options.random ?? Math.random,
      onAdd: () => this.#metrics.keyAdded(controller.name, this.#queue.depth),
      onTake: (_key, waitedMs) => this.#metrics.keyTaken(controller.name, this.#queue.depth, waitedMs / 1000),
    });
  }

  get name(): string {
    return this.#controller.name;
  }

  start(): void {
    this.#metrics.workers(this.name, this.#controller.concurrency);
    this.#controller.start((key, delayMs) => this.#queue.addAfter(key, delayMs ?? 0));
    for (let worker = 0; worker < this.#controller.concurrency; worker += 1) void this.#work();
    this.#logger.debug('controller started', { workers: this.#controller.concurrency });
  }

  shutDown(): void {
    this.#queue.shutDown();
  }

  async whenIdle(): Promise<void> {
    if (this.activePasses > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** One worker. Never rejects: a pass cannot. */
  async #work(): Promise<void> {
    for (let key = await this.#queue.take(); key !== undefined; key = await this.#queue.take()) {
      const pass = this.#pass(key);
      const graceMs = this.#options.abortGraceMs ?? 5_000;
      const timeoutMs = this.#options.passTimeoutMs ?? 30_000;
      if (!(await within(pass, this.#clock, timeoutMs + graceMs))) {
        this.#logger.error('a pass does not end although it was aborted; its worker goes on without it', { key });
      }
    }
  }

  /** Runs the reconciler once and decides what follows. Never rejects. */
  async #pass(key: string): Promise<void> {
    const { passTimeoutMs = 30_000 } = this.#options;
    const startedMs = this.#clock.monotonicMs();
    const timeout = new AbortController();
    const cancelTimer = this.#clock.setTimer(() => {
      this.#metrics.passTimedOut(this.name);
      timeout.abort(new Error(`the pass took longer than ${passTimeoutMs / 1000} s`));
    }, passTimeoutMs);
    const logger = this.#logger.child({ key });
    this.activePasses += 1;
    this.#metrics.passStarted(this.name);
    let result: PassResult;
    try {
      const signal = AbortSignal.any([timeout.signal, this.#stopping]);
      result = this.#onOutcome(key, await this.#controller.reconcile(key, { logger, signal, nowMs: this.#clock.nowMs() }));
    } catch (error) {
      // A reconciler that was aborted says so in its own words; ours tell why.
      result = this.#onFailure(key, timeout.signal.aborted ? (timeout.signal.reason as Error) : error, logger);
    } finally {
      cancelTimer();
    }
    this.#queue.done(key);
    this.activePasses -= 1;
    this.#metrics.passEnded(this.name, result, (this.#clock.monotonicMs() - startedMs) / 1000);
    if (this.activePasses === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #onOutcome(key: string, outcome: Outcome): PassResult {
    this.#queue.forget(key);
    if (outcome.settled) return 'success';
    this.#queue.addAfter(key, outcome.recheckAfterMs);
    return 'requeue_after';
  }

  #onFailure(key: string, error: unknown, logger: Logger): PassResult {
    if (this.#stopping.aborted) return 'error';
    if (error instanceof StalledError) {
      this.#queue.forget(key);
      logger.warn('stalled until the object changes', { reason: error.reason, error: error.message });
      return 'stalled';
    }
    const retries = this.#queue.retries(key);
    const retryMs = this.#queue.addRateLimited(key);
    this.#metrics.keyRetried(this.name);
    if (error instanceof WaitingError) {
      logger.debug('waits for something else', { reason: error.reason, error: error.message, retryMs });
      return 'waiting';
    }
    // Two writers met: nothing is wrong, the next pass sees what the other wrote.
    if (isConflict(error)) logger.debug('a write met a conflict', { retryMs });
    else logger.warn('a pass failed', { error, retries, retryMs });
    return 'error';
  }
}

/** Answers whether the promise settled in time. */
async function within(promise: Promise<unknown>, clock: Clock, timeoutMs: number): Promise<boolean> {
  let cancel: (() => void) | undefined;
  const late = new Promise<false>((resolve) => {
    cancel = clock.setTimer(() => resolve(false), timeoutMs);
  });
  return Promise.race([promise.then(() => true), late]).finally(() => cancel?.());
}

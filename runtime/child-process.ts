/**
 * Runs a program that we depend on (etcd, dockerd, our own server and agent): started, waited for until it is ready, restarted with backoff
 * when it dies, stopped in order. Its output goes to a bounded file. A pid file finds what an earlier run of ours left behind.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createBackoff } from '../api/backoff.ts';
import type { BackoffBounds } from '../api/backoff.ts';
import { UserError } from '../api/errors.ts';
import { openChildLog, readLastLines, rotateChildLog, sizeOf } from './child-log.ts';
import type { ChildLogOptions } from './child-log.ts';
import { systemClock, waitFor } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { endSurvivor, killQuietly } from './survivor.ts';

export interface ChildOptions {
  /** For logs and errors: `etcd`. */
  name: string;
  command: string;
  args: readonly string[];
  /** The child's whole environment; ours when absent. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Standard output and standard error, appended. */
  logFile: string;
  /** The log is rotated beyond this; 10 MB when absent. */
  maxLogBytes?: number;
  /** Rotated logs that are kept; 2 when absent. */
  keepLogs?: number;
  /** Under `run/`. Without it a survivor of an earlier run is not found. */
  pidFile?: string;
  /** Ready as soon as it runs when absent. */
  readiness?: Readiness;
  /** `false`: its end is reported by `onExit` and it stays down. */
  restart?: Partial<RestartPolicy> | false;
  /** SIGTERM when absent. */
  stopSignal?: NodeJS.Signals;
  /** Then its process group is killed; 10 s when absent. */
  stopTimeoutMs?: number;
  logger: Logger;
  /** Every end that nobody asked for, before the restart. */
  onExit?: (exit: ChildExit) => void;
  /** Called once for each crash loop; restarts go on at the longest wait. */
  onCrashLoop?: (error: ChildError) => void;
  clock?: Clock;
  random?: () => number;
}

export interface Readiness {
  /** Answers whether the child serves; a throw counts as not yet. Called again until it does; must heed the signal. */
  check(signal: AbortSignal): Promise<boolean>;
  /** From the start of the child until it must be ready. */
  timeoutMs: number;
  /** Between two checks; 100 ms when absent. */
  intervalMs?: number;
}

export interface RestartPolicy extends BackoffBounds {
  /** A child that ran this long starts with a short wait again. 60 s. */
  healthyAfterMs: number;
  /** So many ends in a row, each before `healthyAfterMs`, are a crash loop. 5. */
  crashLoopAfter: number;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  lastLines: string[];
}

/** The child did not come up, or does not stay up. The message ends with the last lines of its log. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
  readonly lastLines: readonly string[];

  constructor(message: string, lastLines: readonly string[], options?: ErrorOptions) {
    super(lastLines.length === 0 ? message : `${message}; its log ends with:\n  ${lastLines.join('\n  ')}`, options);
    this.lastLines = lastLines;
  }
}

export type ChildState = 'idle' | 'starting' | 'ready' | 'waiting' | 'stopping' | 'stopped';

export interface SupervisedChild {
  readonly state: ChildState;
  /** Of the process that runs now. */
  readonly pid: number | undefined;
  /** How often it was started again. */
  readonly restarts: number;
  /**
   * Ends a survivor of an earlier run, starts the child, and resolves when it is ready. Rejects with {@link ChildError} when it ended
   * before that or took too long (nothing is left running then), or with UserError when the program does not exist.
   */
  start(): Promise<void>;
  /** Resolves when the child is ready, also after a restart; rejects when it was stopped or the signal aborts. */
  whenReady(signal?: AbortSignal): Promise<void>;
  /** Sends `signal` to the child that runs now. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. May be called at any time, and twice. */
  stop(): Promise<void>;
}

const defaultRestart: RestartPolicy = { baseMs: 200, capMs: 10_000, healthyAfterMs: 60_000, crashLoopAfter: 5 };
/** Between two looks at the size of the log. */
const rotationIntervalMs = 10_000;

export function superviseChild(options: ChildOptions): SupervisedChild {
  return new Child(options);
}

/** One life of the program, from spawn to exit. */
interface Run {
  process: ChildProcess;
  startedMs: number;
  /** Where this run's output starts in the log. */
  logOffset: number;
  exited: Promise<ChildExit>;
}

class Child implements SupervisedChild {
  state: ChildState = 'idle';
  restarts = 0;
  readonly #options: ChildOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #log: ChildLogOptions;
  readonly #stopping = new AbortController();
  #run: Run | undefined;
  #loop: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({ child: options.name });
    this.#log = { file: options.logFile, maxBytes: options.maxLogBytes ?? 10_000_000, keep: options.keepLogs ?? 2 };
  }

  get pid(): number | undefined {
    return this.#run?.process.pid;
  }

  async start(): Promise<void> {
    if (this.state !== 'idle') throw new Error(`${this.#options.name} was started before`);
    this.state = 'starting';
    const first = this.#firstRun();
    this.#loop = first.then(
      (run) => this.#keepRunning(run),
      () => undefined,
    );
    await first;
  }

  async whenReady(signal?: AbortSignal): Promise<void> {
    if (this.state === 'ready') return;
    if (this.#stopping.signal.aborted) throw this.#stoppedError();
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiters.push(waiter);
      signal?.addEventListener(
        'abort',
        () => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#run?.process.kill(signal);
  }

  async stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    await this.#stopped;
  }

  async #stop(): Promise<void> {
    this.state = 'stopping';
    this.#stopping.abort(this.#stoppedError());
    this.#settleWaiters(this.#stoppedError());
    await this.#endRun();
    await this.#loop;
    this.state = 'stopped';
  }

  async #firstRun(): Promise<Run> {
    try {
      await this.#endSurvivor();
      const run = await this.#spawn();
      await this.#waitUntilReady(run);
      return run;
    } catch (error) {
      await this.#endRun();
      if (!this.#stopping.signal.aborted) this.state = 'stopped';
      this.#settleWaiters(error as Error);
      throw error;
    }
  }

  /** Waits for the end of the run and starts the next one, until stopped. */
  async #keepRunning(first: Run): Promise<void> {
    const { restart, random = Math.random } = this.#options;
    const policy = { ...defaultRestart, ...(restart === false ? {} : restart) };
    const backoff = createBackoff(policy, random);
    let endsInARow = 0;
    for (let run: Run | undefined = first; run !== undefined || !this.#stopping.signal.aborted;) {
      const exit = run === undefined ? undefined : await run.exited;
      if (this.#stopping.signal.aborted) return;
      if (run !== undefined && exit !== undefined) {
        const ranMs = this.#clock.monotonicMs() - run.startedMs;
        if (ranMs >= policy.healthyAfterMs) {
          backoff.reset();
          endsInARow = 0;
        }
        await this.#onUnexpectedExit(exit);
      }
      if (restart === false) return;
      endsInARow += 1;
      if (endsInARow === policy.crashLoopAfter) this.#reportCrashLoop(exit, endsInARow);
      this.state = 'waiting';
      if (!(await waitFor(this.#clock, backoff.nextMs(), this.#stopping.signal))) return;
      run = await this.#restart();
    }
  }

  /** Answers the new run, or undefined when it did not come up. */
  async #restart(): Promise<Run | undefined> {
    this.restarts += 1;
    this.state = 'starting';
    try {
      const run = await this.#spawn();
      await this.#waitUntilReady(run);
      this.#logger.info('child restarted', { pid: run.process.pid, restarts: this.restarts });
      return run;
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#logger.warn('child did not come up', { error });
      await this.#endRun();
      return undefined;
    }
  }

  async #onUnexpectedExit(exit: ChildExit): Promise<void> {
    this.#run = undefined;
    this.state = this.#options.restart === false ? 'stopped' : 'waiting';
    if (this.#options.pidFile !== undefined) await removePidFile(this.#options.pidFile);
    this.#logger.warn('child ended', { code: exit.code, signal: exit.signal, lastLines: exit.lastLines });
    if (this.#options.restart === false) this.#settleWaiters(this.#stoppedError());
    this.#guard(() => this.#options.onExit?.(exit));
  }

  #reportCrashLoop(exit: ChildExit | undefined, count: number): void {
    const error = new ChildError(`${this.#options.name} ended ${count} times in a row`, exit?.lastLines ?? []);
    this.#logger.error('child is in a crash loop', { error });
    this.#guard(() => this.#options.onCrashLoop?.(error));
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#logger.error('callback failed', { error });
    }
  }

  async #endSurvivor(): Promise<void> {
    const { pidFile, name, stopSignal = 'SIGTERM', stopTimeoutMs = 10_000 } = this.#options;
    if (pidFile === undefined) return;
    const { signal } = this.#stopping;
    await endSurvivor({ pidFile, name, stopSignal, stopTimeoutMs, logger: this.#logger, clock: this.#clock, signal });
  }

  async #spawn(): Promise<Run> {
    const { name, command, args, env = process.env, cwd, pidFile } = this.#options;
    this.#stopping.signal.throwIfAborted();
    const log = await openChildLog(this.#log);
    try {
      const logOffset = Math.max(await sizeOf(this.#log.file), 0);
      // Its own session: Ctrl-C on our terminal reaches us alone, and we stop children in order.
      const child = spawn(command, [...args], { cwd, env: { ...env }, stdio: ['ignore', log.fd, log.fd], detached: true });
      const exited = new Promise<ChildExit>((resolve) => {
        child.once('exit', (code, signal) => {
          void readLastLines(this.#log.file, 10, logOffset)
            .catch(() => [])
            .then((lastLines) => resolve({ code, signal, lastLines }));
        });
      });
      await whenSpawned(child, name, command);
      const run: Run = { process: child, startedMs: this.#clock.monotonicMs(), logOffset, exited };
      this.#run = run;
      this.#rotateWhileRunning(run);
      if (pidFile !== undefined && child.pid !== undefined) await writePidFile(pidFile, child.pid, [command, ...args]);
      return run;
    } finally {
      await log.close();
    }
  }

  #rotateWhileRunning(run: Run): void {
    const ended = new AbortController();
    void run.exited.then(() => ended.abort());
    const loop = async (): Promise<void> => {
      while (await waitFor(this.#clock, rotationIntervalMs, ended.signal)) {
        if (await rotateChildLog(this.#log)) run.logOffset = 0;
      }
    };
    loop().catch((error: unknown) => this.#logger.warn('the log of a child cannot be rotated', { error }));
  }

  async #waitUntilReady(run: Run): Promise<void> {
    const { name, readiness } = this.#options;
    const ended = new AbortController();
    const outcome = await Promise.race([
      run.exited.then((exit) => exit),
      readiness === undefined ? ('ready' as const) : this.#poll(readiness, AbortSignal.any([ended.signal, this.#stopping.signal])),
    ]).finally(() => ended.abort());
    if (this.#stopping.signal.aborted) throw this.#stoppedError();
    if (outcome === 'late') {
      const lines = await readLastLines(this.#log.file, 10, run.logOffset);
      throw new ChildError(`${name} was not ready after ${(readiness?.timeoutMs ?? 0) / 1000} s`, lines);
    }
    if (outcome !== 'ready') {
      throw new ChildError(`${name} ended before it was ready (${describeExit(outcome)})`, outcome.lastLines);
    }
    this.state = 'ready';
    this.#settleWaiters(undefined);
  }

  async #poll(readiness: Readiness, signal: AbortSignal): Promise<'ready' | 'late'> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(readiness.timeoutMs)]);
    do {
      try {
        if (await readiness.check(late)) return 'ready';
      } catch (error) {
        if (!late.aborted) this.#logger.debug('child is not ready yet', { error });
      }
    } while (await waitFor(this.#clock, readiness.intervalMs ?? 100, late));
    return 'late';
  }

  async #endRun(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    const { stopSignal = 'SIGTERM', stopTimeoutMs = 10_000, pidFile } = this.#options;
    run.process.kill(stopSignal);
    const cancel = this.#clock.setTimer(() => {
      this.#logger.warn('child did not stop in time and is killed', { pid: run.process.pid });
      if (run.process.pid !== undefined) killQuietly(-run.process.pid, 'SIGKILL');
    }, stopTimeoutMs);
    await run.exited;
    cancel();
    if (this.#run === run) this.#run = undefined;
    if (pidFile !== undefined) await removePidFile(pidFile);
  }

  #settleWaiters(error: Error | undefined): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }

  #stoppedError(): ChildError {
    return new ChildError(`${this.#options.name} was stopped`, []);
  }
}

async function whenSpawned(child: ChildProcess, name: string, command: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.on('error', (error: NodeJS.ErrnoException) => {
      const remedy = `Install ${command}, or say where it is.`;
      const isMissing = error.code === 'ENOENT' || error.code === 'EACCES';
      reject(isMissing ? new UserError(missingProgram(name), `${command} cannot be run`, remedy, { cause: error }) : error);
    });
  });
}

function missingProgram(name: string): 'ETCD_MISSING' | 'DOCKER_MISSING' | 'UNSUPPORTED_SYSTEM' {
  if (name.includes('etcd')) return 'ETCD_MISSING';
  return name.includes('docker') ? 'DOCKER_MISSING' : 'UNSUPPORTED_SYSTEM';
}

function describeExit(exit: ChildExit): string {
  return exit.signal === null ? `exit code ${exit.code ?? 'unknown'}` : exit.signal;
}

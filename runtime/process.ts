/** What every process of ours has in common: it stops in order when asked, at once when asked twice, and says why it cannot go on. */
import { writeSync } from 'node:fs';
import { UserError } from '../api/errors.ts';
import type { Logger } from './logger.ts';

export interface ProcessOptions {
  /** For logs: `potluck server`. */
  name: string;
  logger: Logger;
  /** Brings everything up. A throw ends the process with 1; a UserError is printed as its one line. */
  start(context: ProcessContext): Promise<RunningProcess>;
  /** An orderly stop may take this long, then the process ends with 1; 20 s. */
  stopTimeoutMs?: number;
  /**
   * A second signal counts only this long after the first; 0 when absent. For what `npm` starts: it passes Ctrl-C on to programs that the
   * terminal has already told.
   */
  echoMs?: number;
  /** Stops in order when the process that started us is gone. */
  stopWithParent?: boolean;
}

export interface ProcessContext {
  /** Aborts when the process is asked to stop, also during the start. */
  signal: AbortSignal;
  /** Something that must run is broken for good: stops in order and ends with 1. */
  fail(error: unknown): void;
}

export interface RunningProcess {
  /** Called once. */
  stop(): Promise<void>;
  /** Resolves when the work is done by itself: stops in order and ends with 0. A rejection is a failure. */
  done?: Promise<void>;
}

const parentCheckMs = 1_000;

/** Takes the process over; the exit code is 0 after an orderly stop, 1 after a failure, 130 or 143 when it was asked to end at once. */
export function runProcess(options: ProcessOptions): void {
  const { logger, name, stopTimeoutMs = 20_000, echoMs = 0 } = options;
  const stopping = new AbortController();
  let exitCode = 0;
  let askedMs = 0;

  const stop = (reason: string): void => {
    if (stopping.signal.aborted) return;
    logger.info('stopping', { process: name, reason });
    stopping.abort(new Error(reason));
    setTimeout(() => {
      logger.error('not everything stopped in time', { process: name, seconds: stopTimeoutMs / 1000 });
      process.exit(1);
    }, stopTimeoutMs).unref();
  };
  const fail = (error: unknown): void => {
    exitCode = 1;
    report(error, logger);
    stop('failure');
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!stopping.signal.aborted) {
      askedMs = performance.now();
      stop(signal);
    } else if (performance.now() - askedMs >= echoMs) process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // After either the state of the program is unknown: an orderly stop could do harm.
  const onCrash = (error: unknown): void => {
    logger.error('unexpected failure', { process: name, error });
    process.exit(1);
  };
  process.on('uncaughtException', onCrash);
  process.on('unhandledRejection', onCrash);
  if (options.stopWithParent === true) watchParent(() => stop('the parent process is gone'));

  void run(options, { signal: stopping.signal, fail }, stop).then(
    () => process.exit(exitCode),
    (error: unknown) => {
      report(error, logger);
      process.exit(1);
    },
  );
}

async function run(options: ProcessOptions, context: ProcessContext, stop: (reason: string) => void): Promise<void> {
  let running: RunningProcess;
  try {
    running = await options.start(context);
  } catch (error) {
    // Asked to stop in the middle of the start: what the start says then is only its consequence.
    if (context.signal.aborted && !(error instanceof UserError)) return;
    throw error;
  }
  running.done?.then(
    () => stop('done'),
    (error: unknown) => context.fail(error),
  );
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    else context.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await running.stop();
}

/** A person is told in one line; everything else is logged with its stack. */
function report(error: unknown, logger: Logger): void {
  if (error instanceof UserError) writeSync(process.stderr.fd, `${error.toString()}\n`);
  else logger.error('failed', { error });
}

/** An orphan is handed to another parent. */
function watchParent(onGone: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, parentCheckMs);
  timer.unref();
}

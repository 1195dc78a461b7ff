/** Real processes of ours for tests: started with their own command lines, killed by pid, restarted with the same arguments. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const main = join(import.meta.dirname, '../../cli/main.ts');
/** As `potluck up` starts an agent. */
const agentFlags = ['--max-semi-space-size=1'];

export interface TestProcess {
  readonly name: string;
  readonly pid: number;
  /** Sends SIGKILL and waits until the process is gone. */
  killHard(): Promise<void>;
  /** Starts it again with the same arguments; it must be gone. */
  restart(): void;
  /** SIGTERM; SIGKILL after `timeoutMs`. Answers the exit code, null after a signal. */
  stop(timeoutMs?: number): Promise<number | null>;
  readonly running: boolean;
}

/** For faketime: only the wall clock is another, as on a machine whose clock was set wrong. */
export const realTimers = { FAKETIME_DONT_FAKE_MONOTONIC: '1' };

/** The command line under a wall clock that is `offset` from ours, for example `+10m`; faketime becomes the program, so its pid is the program's. */
export function underClock(offset: string | undefined, command: readonly [string, ...string[]]): [string, ...string[]] {
  return offset === undefined ? [...command] : ['faketime', '-f', offset, ...command];
}

/** Starts `potluck <args>` on this Node itself, so that its pid is the program's own. Output goes to `logFile`. */
export async function startPotluck(
  name: string,
  args: readonly string[],
  logFile: string,
  { clockOffset, namespace }: { clockOffset?: string | undefined; /** For `nsenter --net=`. */ namespace?: string } = {},
): Promise<TestProcess> {
  await mkdir(dirname(logFile), { recursive: true });
  let child = launch();

  function launch(): ChildProcess {
    const program: [string, ...string[]] = [process.execPath, ...(args[0] === 'agent' ? agentFlags : []), main, ...args];
    // nsenter becomes the program, so its pid is the program's.
    const inside: [string, ...string[]] = namespace === undefined ? program : ['nsenter', `--net=${namespace}`, ...program];
    const [command, ...rest] = underClock(clockOffset, inside);
    const started = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...realTimers } });
    const log = createWriteStream(logFile, { flags: 'a' });
    started.stdout.pipe(log, { end: false });
    started.stderr.pipe(log, { end: false });
    started.once('close', () => log.end());
    return started;
  }

  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;

  async function end(signal: NodeJS.Signals, timeoutMs: number): Promise<number | null> {
    if (!isRunning()) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    await gone;
    clearTimeout(timer);
    return child.exitCode;
  }

  return {
    name,
    get pid() {
      return child.pid ?? -1;
    },
    get running() {
      return isRunning();
    },
    killHard: async () => {
      await end('SIGKILL', 5_000);
    },
    restart: () => {
      if (isRunning()) throw new Error(`${name} still runs`);
      child = launch();
    },
    stop: (timeoutMs = 30_000) => end('SIGTERM', timeoutMs),
  };
}

/** `bin/potluck` as a user runs it: the whole pool by `up`, and short commands. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { eventually } from './eventually.ts';

const potluck = join(import.meta.dirname, '../../bin/potluck');

export interface CommandResult {
  code: number | null;
  output: string;
}

/** A running `potluck up`. */
export class Up {
  readonly child: ChildProcess;
  output = '';

  constructor(args: readonly string[]) {
    // From another directory, as a user might.
    this.child = spawn(potluck, ['up', ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (chunk: string) => (this.output += chunk));
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async untilReady(timeoutMs: number): Promise<void> {
    const ready = eventually(() => assert.ok(this.output.includes('The pool is ready'), this.output), {
      timeoutMs,
      what: 'potluck up to be ready',
    });
    const ended = once(this.child, 'exit').then(() => Promise.reject(new Error(`it ended:\n${this.output}`)));
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.running) {
      const exit = once(this.child, 'exit');
      this.child.kill(signal);
      await exit;
    }
    return this.child.exitCode;
  }
}

/** Runs one command to its end; both outputs together. */
export async function runPotluck(...args: string[]): Promise<CommandResult> {
  const child = spawn(potluck, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, output: out + error };
}

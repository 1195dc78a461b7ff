/** `bin/potluck` as its owner runs it on a machine that is a network namespace. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { eventually } from './eventually.ts';

const potluck = join(import.meta.dirname, '../../bin/potluck');

export interface CommandResult {
  code: number | null;
  output: string;
}

export class JoinedMachine {
  readonly #namespace: string;
  readonly home: string;

  constructor(namespace: string, home: string) {
    this.#namespace = namespace;
    this.home = home;
  }

  #spawn(args: readonly string[]): ChildProcess {
    // nsenter becomes the program: its pid is the program's own.
    return spawn('nsenter', [`--net=${this.#namespace}`, potluck, ...args, '--home', this.home], {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: '/',
    });
  }

  /** Runs a command to its end; both outputs together. */
  async run(args: readonly string[], input = ''): Promise<CommandResult> {
    const child = this.#spawn(args);
    child.stdin?.end(input);
    assert.ok(child.stdout !== null && child.stderr !== null);
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, output: out + error };
  }

  /** For what runs on. */
  start(args: readonly string[], input = ''): MachineProcess {
    const child = this.#spawn(args);
    child.stdin?.end(input);
    return new MachineProcess(child);
  }
}

export class MachineProcess {
  readonly #child: ChildProcess;
  output = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (chunk: string) => (this.output += chunk));
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async untilPrinted(what: string, timeoutMs: number): Promise<void> {
    const printed = (): Promise<void> => {
      if (this.output.includes(what)) return Promise.resolve();
      return Promise.reject(new Error(`it ${this.running ? 'printed' : 'ended, and printed'}:\n${this.output}`));
    };
    await eventually(printed, { timeoutMs, what: `potluck to print ${JSON.stringify(what)}`, intervalMs: 100 });
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.running) {
      const exit = once(this.#child, 'exit');
      this.#child.kill(signal);
      await exit;
    }
    return this.#child.exitCode;
  }
}

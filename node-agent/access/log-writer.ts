/** Writes a log as it was asked for, at the pace of who reads. */
import type { Writable } from 'node:stream';
import { drained } from './drained.ts';
import type { LogMessage } from './log-messages.ts';

const newline = 0x0a;

export class LogWriter {
  readonly #out: Writable;
  readonly #signal: AbortSignal;
  readonly #timestamps: boolean;
  #left: number;
  #isAtStart = true;

  constructor(
    out: Writable,
    signal: AbortSignal,
    { timestamps = false, limitBytes = Infinity }: { timestamps?: boolean; limitBytes?: number },
  ) {
    this.#out = out;
    this.#signal = signal;
    this.#timestamps = timestamps;
    this.#left = limitBytes;
  }

  /** Nothing more is wanted, or can be written. */
  get isDone(): boolean {
    return this.#left <= 0 || !this.#out.writable;
  }

  /** A long line comes in parts; its time stands before the first. */
  async write({ time, content }: LogMessage): Promise<void> {
    const line = this.#timestamps && this.#isAtStart ? Buffer.concat([Buffer.from(`${time} `), content]) : content;
    this.#isAtStart = content.at(-1) === newline;
    const part = line.length > this.#left ? line.subarray(0, this.#left) : line;
    this.#left -= part.length;
    if (!this.#out.writable || this.#out.write(part)) return;
    await drained(this.#out, this.#signal);
  }
}

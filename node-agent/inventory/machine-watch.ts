/** Looks every minute whether the machine is still what it was: processors and memory come and go while it runs, drivers are installed. */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../runtime/logger.ts';
import type { Machine } from './machine.ts';

export interface MachineWatchOptions {
  /** As read at the start. */
  machine: Machine;
  read: () => Promise<Machine>;
  /** {@link MachineWatch.machine} is another now. */
  onChange: () => void;
  logger: Logger;
  /** A minute when absent. */
  intervalMs?: number;
}

const defaultIntervalMs = 60_000;

export class MachineWatch {
  readonly #options: MachineWatchOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #machine: Machine;

  constructor(options: MachineWatchOptions) {
    this.#options = options;
    this.#machine = options.machine;
    this.#running = this.#run();
  }

  /** As it was last found. */
  get machine(): Machine {
    return this.#machine;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { read, onChange, logger, intervalMs = defaultIntervalMs } = this.#options;
    while (await delay(intervalMs, true, { signal }).catch(() => false)) {
      try {
        const machine = await read();
        if (isDeepStrictEqual(machine, this.#machine)) continue;
        logger.info('the machine changed', { changed: changedParts(this.#machine, machine) });
        this.#machine = machine;
        onChange();
      } catch (error) {
        logger.debug('the machine cannot be read now', { error });
      }
    }
  }
}

function changedParts(before: Machine, after: Machine): string {
  const names = Object.keys(after) as (keyof Machine)[];
  return names.filter((name) => !isDeepStrictEqual(before[name], after[name])).join(', ');
}

/** Docker's event stream, which ends with the connection, as one that goes on. */
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import { fullJitterMs } from '../../api/backoff.ts';
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import type { EngineEventOptions, EngineEventStream } from './engine.ts';
import { readJsonLines } from './json-lines.ts';

/** Short, since an agent without events is blind; a local socket costs nothing. */
const reconnect = { baseMs: 100, capMs: 2_000 };

interface EventLine {
  Type?: string;
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
  timeNano?: number;
}

export function watchDockerEvents(docker: Docker, options: EngineEventOptions): EngineEventStream {
  const stopping = new AbortController();
  const watch = new EventWatch(docker, options, stopping.signal);
  const ended = watch.run();
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}

class EventWatch {
  readonly #docker: Docker;
  readonly #options: EngineEventOptions;
  readonly #signal: AbortSignal;
  /** Seconds since the epoch with nanoseconds, as Docker wants it: what came before was told of. */
  #since = `${(Date.now() / 1000).toFixed(3)}000000`;
  #attempt = 0;

  constructor(docker: Docker, options: EngineEventOptions, signal: AbortSignal) {
    this.#docker = docker;
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#follow().catch(() => undefined);
      await delay(50 + fullJitterMs(this.#attempt, reconnect, Math.random), undefined, { signal: this.#signal }).catch(() => undefined);
      this.#attempt += 1;
    }
  }

  async #follow(): Promise<void> {
    const filters = { type: ['container' as const], label: [`${providerLabel}=${this.#options.providerUid}`] };
    const stream = await this.#docker.getEvents({ since: this.#since as unknown as number, filters, abortSignal: this.#signal } as object);
    this.#attempt = 0;
    this.#options.onConnection(true);
    try {
      await readJsonLines(stream, (object) => this.#emit(object as EventLine));
    } finally {
      if (!this.#signal.aborted) this.#options.onConnection(false);
    }
  }

  #emit({ Type: type, Action: action, Actor: actor, timeNano }: EventLine): void {
    const instanceUid = actor?.Attributes?.[instanceUidLabel];
    if (type !== 'container' || action === undefined || actor?.ID === undefined || instanceUid === undefined) return;
    // A double holds these to about 200 ns: one microsecond later is after it, and nothing of ours comes as close.
    const nanos = BigInt(timeNano ?? Date.now() * 1e6) + 1000n;
    this.#since = `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, '0')}`;
    if (!this.#signal.aborted) this.#options.onEvent({ containerId: actor.ID, instanceUid, action, atMs: Number(nanos / 1_000_000n) });
  }
}

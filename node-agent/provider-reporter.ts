/** Keeps what the API knows of this machine true: reports when asked to, every few minutes, and again after a failure. */
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../api/backoff.ts';
import { findCondition } from '../api/conditions.ts';
import type { Provider } from '../api/generated/provider.ts';
import { conditionTypes } from '../api/reasons.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../runtime/logger.ts';
import { reportInventory, reportProvider } from './provider-report.ts';
import type { Measured } from './provider-report.ts';

export const agentVersion = '0.1.0';

export interface ProviderReporterOptions {
  client: Client;
  logger: Logger;
  provider: () => Provider;
  measure: () => Promise<Measured>;
  /** The offer was above what the machine can give, and was cut. */
  onOfferCut: (provider: Provider, sentence: string) => void;
}

const intervalMs = 300_000;
const backoff = { baseMs: 1_000, capMs: 30_000 };

export class ProviderReporter {
  readonly #options: ProviderReporterOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #wake = new AbortController();
  #failures = 0;

  constructor(options: ProviderReporterOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Also while a report is under way: then there is another. */
  reportSoon(): void {
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** The first report waits until it is asked for. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      const waitMs = this.#failures > 0 ? 500 + fullJitterMs(this.#failures, backoff, Math.random) : intervalMs;
      await delay(waitMs, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => undefined);
      if (signal.aborted) return;
      this.#wake = new AbortController();
      await this.#report(signal);
    }
  }

  #announceCut(before: Provider, after: Provider): void {
    const isCut = ({ status }: Provider): string | undefined => {
      const condition = findCondition(status?.conditions, conditionTypes.offerWithinCapacity);
      return condition?.status === 'False' ? condition.message : undefined;
    };
    const sentence = isCut(after);
    if (sentence !== undefined && isCut(before) === undefined) this.#options.onOfferCut(after, sentence);
  }

  async #report(signal: AbortSignal): Promise<void> {
    const { client, provider, measure, logger } = this.#options;
    try {
      const measured = await measure();
      const before = provider();
      const context = { client, provider: before, agentVersion, signal };
      const after = await reportProvider(measured, context);
      this.#announceCut(before, after);
      await reportInventory(measured, context);
      this.#failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      this.#failures += 1;
      if (this.#failures === 1) logger.warn('what this machine has cannot be told to the API', { error });
    }
  }
}

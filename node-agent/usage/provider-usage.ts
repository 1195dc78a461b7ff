/** Tells the API what all instances of this machine use together. */
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../../api/backoff.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providers } from '../../api/resource-type.ts';
import type { Client } from '../../client/client.ts';
import type { Logger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { usageStatus, withoutUsage } from '../plan/usage-status.ts';
import type { ReportedUsage } from './usage-rate.ts';

export interface ProviderUsageOptions {
  client: Client;
  logger: Logger;
  /** As last seen. */
  provider: () => Provider;
  /** Asked at each write; undefined when nothing was measured yet. */
  usage: () => ReportedUsage | undefined;
}

const backoff = { baseMs: 1_000, capMs: 60_000 };
const writeTimeoutMs = 10_000;

export class ProviderUsage {
  readonly #options: ProviderUsageOptions;
  readonly #stopping = new AbortController();
  #isDue = false;
  #writing: Promise<void> | undefined;

  constructor(options: ProviderUsageOptions) {
    this.#options = options;
  }

  /** Returns at once; what comes while a write is under way is written after it. */
  tellSoon(): void {
    this.#isDue = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; this.#isDue;) {
      this.#isDue = false;
      const isWritten = await this.#tryToWrite(signal, failures);
      failures = isWritten ? 0 : failures + 1;
      if (isWritten) continue;
      const waited = await delay(500 + fullJitterMs(failures, backoff, Math.random), true, { signal }).catch(() => false);
      this.#isDue = waited;
    }
  }

  async #tryToWrite(signal: AbortSignal, failures: number): Promise<boolean> {
    try {
      await this.#writeOnce(signal);
      return true;
    } catch (error) {
      if (failures === 0 && !signal.aborted) this.#options.logger.warn('what instances use cannot be told to the API', { error });
      return false;
    }
  }

  async #writeOnce(signal: AbortSignal): Promise<void> {
    const { client, provider, usage } = this.#options;
    const told = usage();
    if (told === undefined) return;
    const from = provider();
    const { name = '', uid } = from.metadata;
    const { usage: used, ...when } = usageStatus(told);
    const mutate = (draft: Provider): Provider | false =>
      draft.metadata.uid === uid && { ...draft, status: { ...withoutUsage(draft.status ?? {}), used, ...when } };
    await updateStatus(client, providers, { name }, mutate, { from, signal, timeoutMs: writeTimeoutMs });
  }
}

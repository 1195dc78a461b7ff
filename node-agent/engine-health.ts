/** Whether the container engine answers, and what it can. Kept true by its event stream and by every call that fails. */
import type { Engine, EngineEventStream, EngineInfo } from './engine/engine.ts';
import type { Logger } from '../runtime/logger.ts';

export interface EngineHealthOptions {
  engine: Engine;
  providerUid: string;
  logger: Logger;
  /** It answers again, or for the first time: everything must be looked at. Awaited before `isReady` is true. */
  onReady(info: EngineInfo): Promise<void>;
  /** After `isReady` became true. */
  afterReady(): void;
  /** It stopped answering. */
  onAbsent(): void;
  onEvent(instanceUid: string): void;
}

export class EngineHealth {
  isReady = false;
  diskQuota = false;
  bandwidth = false;
  info: EngineInfo | undefined;
  readonly #options: EngineHealthOptions;
  #absentSinceMs = performance.now();
  #stream: EngineEventStream | undefined;
  #isConnected = false;
  #checking: Promise<void> | undefined;
  #isStopped = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: EngineHealthOptions) {
    this.#options = options;
  }

  start(): void {
    const { engine, providerUid } = this.#options;
    this.#stream = engine.watchEvents({
      providerUid,
      onEvent: ({ instanceUid }) => this.#options.onEvent(instanceUid),
      onConnection: (connected) => {
        this.#isConnected = connected;
        if (connected) this.#check();
        else this.noteAbsence(new Error('the event stream ended'));
      },
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await this.#stream?.stop();
    await this.#checking;
  }

  /** How long it has not answered; 0 while it does. */
  absentMs(): number {
    return this.isReady ? 0 : performance.now() - this.#absentSinceMs;
  }

  noteAbsence(error: unknown): void {
    if (this.isReady && !this.#isStopped) {
      this.isReady = false;
      this.#absentSinceMs = performance.now();
      this.#options.logger.warn('the container engine does not answer', { error });
      this.#options.onAbsent();
    }
    this.#checkSoon();
  }

  #checkSoon(): void {
    if (this.#isStopped || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (!this.isReady && this.#isConnected) this.#check();
    }, 1_000);
  }

  #check(): void {
    this.#checking ??= this.#lookAtEverything().finally(() => {
      this.#checking = undefined;
    });
  }

  async #lookAtEverything(): Promise<void> {
    const { engine, logger } = this.#options;
    try {
      const info = await engine.info();
      this.info = info;
      this.diskQuota = info.diskQuota;
      this.bandwidth = info.bandwidth === true;
      await this.#options.onReady(info);
      if (this.#isStopped) return;
      if (!this.isReady) logger.info('the container engine answers', { version: info.version, storageDriver: info.storageDriver });
      this.isReady = true;
      this.#options.afterReady();
    } catch (error) {
      logger.debug('the container engine does not answer yet', { error });
      this.#checkSoon();
    }
  }
}

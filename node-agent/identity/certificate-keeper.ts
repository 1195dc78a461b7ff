/** Keeps the certificate of this machine good for as long as the agent runs: renewal before its end, recovery after it. */
import { fullJitterMs } from '../../api/backoff.ts';
import { ApiError } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { systemClock, waitFor } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { AgentFolder } from './agent-folder.ts';
import { readAgentKubeconfig } from './agent-kubeconfig.ts';
import type { AgentKubeconfig } from './agent-kubeconfig.ts';
import { chooseStep } from './choose-step.ts';
import { recoverCertificate, renewCertificate } from './renew-certificate.ts';
import { renewalTimeMs } from './renewal-time.ts';
import { RequestRefusedError } from './request-certificate.ts';

export interface CertificateKeeperOptions {
  folder: AgentFolder;
  /** Where it is when not in the folder. */
  kubeconfig?: string;
  /** With the certificate of this machine; reads it anew when it changed. */
  client: Client;
  logger: Logger;
  clock?: Clock;
  random?: () => number;
}

/** A machine may sleep, and timers with it: the clock is looked at this often at least. */
const lookMs = 60_000;
const failedBackoff = { baseMs: 4_000, capMs: 300_000 };
/** For a machine that the pool does not know any more: its owner may still want to see it come back. */
const refusedBackoff = { baseMs: 120_000, capMs: 900_000 };
const shortestWaitMs = 500;
/** Requests that were on their way with the former certificate may still be refused so long after a new one came. */
const trustMs = 30_000;
/** Between two certificates, however short they are. */
const leastLifeMs = 2_000;

export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #stopping = new AbortController();
  #wake = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  /** The certificate of which the rest speaks. */
  #certPem = '';
  #renewAtMs = 0;
  #refusedByApi = false;
  #failures = 0;
  #saidRefused = false;
  #renewedAtMs = -Infinity;
  /** Before these, nothing is tried; by both clocks, because one stops in sleep and the other may jump. */
  #notBefore = { wallMs: 0, monotonicMs: 0 };

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** The API answered 401. */
  noteUnauthorized(): void {
    if (this.#refusedByApi || this.#clock.monotonicMs() - this.#renewedAtMs < trustMs) return;
    this.#refusedByApi = true;
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { logger } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const waitMs = await this.#look().catch((error: unknown) => {
        logger.error('the certificate of this machine cannot be looked after', { error });
        return lookMs;
      });
      await waitFor(this.#clock, Math.max(shortestWaitMs, Math.min(waitMs, lookMs)), this.#wake.signal);
      this.#wake = new AbortController();
    }
  }

  /** Does what is due; answers how long nothing will be, as far as that can be known. */
  async #look(): Promise<number> {
    // Anew each time: `potluck up` writes another address into it, and a person may have put an older one back.
    const current = await readAgentKubeconfig(this.#path);
    if (current.certPem !== this.#certPem) this.#adopt(current);
    const step = chooseStep({
      nowMs: this.#clock.nowMs(),
      renewAtMs: this.#renewAtMs,
      notAfterMs: current.validity.notAfterMs,
      isRefused: this.#refusedByApi,
    });
    if (step.kind === 'wait') return step.forMs;
    const backoffMs = this.#backoffLeftMs();
    if (backoffMs > 0) return backoffMs;
    await this.#attempt(step.kind, current);
    return 0;
  }

  async #attempt(kind: 'renew' | 'recover', current: AgentKubeconfig): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.#exchange(kind, current);
      this.#renewedAtMs = this.#clock.monotonicMs();
      this.#startAfresh(leastLifeMs);
      logger.info(kind === 'renew' ? 'the certificate was renewed' : 'the certificate was recovered by the identity key');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#onFailure(kind, error);
    }
  }

  async #exchange(kind: 'renew' | 'recover', current: AgentKubeconfig): Promise<void> {
    const { client, folder } = this.#options;
    const exchange = { current, path: this.#path, signal: this.#stopping.signal };
    await (kind === 'renew' ? renewCertificate(client, exchange) : recoverCertificate(folder.identityKey, exchange));
  }

  #onFailure(kind: 'renew' | 'recover', error: unknown): void {
    const { logger } = this.#options;
    const isRefused = error instanceof RequestRefusedError || (error instanceof ApiError && error.code === 401);
    // To a renewal that is answered with 401, recovery is the next thing to try, and soon.
    const bounds = isRefused && !(kind === 'renew' && error instanceof ApiError) ? refusedBackoff : failedBackoff;
    const waitMs = bounds.baseMs / 4 + fullJitterMs(this.#failures++, bounds, this.#random);
    this.#delayNext(waitMs);
    if (kind === 'recover' && isRefused) {
      if (!this.#saidRefused) logger.error(refusedText, { error });
      this.#saidRefused = true;
      return;
    }
    logger.warn(kind === 'renew' ? 'the certificate could not be renewed' : 'the certificate could not be recovered', { error, waitMs });
  }

  #adopt({ certPem, validity }: AgentKubeconfig): void {
    const isFirst = this.#certPem === '';
    this.#certPem = certPem;
    this.#renewAtMs = renewalTimeMs(validity, this.#random());
    this.#startAfresh(isFirst ? 0 : leastLifeMs);
    const [renewAt, notAfter] = [this.#renewAtMs, validity.notAfterMs].map((ms) => new Date(ms).toISOString());
    this.#options.logger.info('the certificate of this machine', { renewAt, notAfter });
  }

  #startAfresh(delayMs: number): void {
    this.#failures = 0;
    this.#saidRefused = false;
    this.#refusedByApi = false;
    this.#delayNext(delayMs);
  }

  get #path(): string {
    return this.#options.kubeconfig ?? this.#options.folder.kubeconfig;
  }

  #delayNext(delayMs: number): void {
    this.#notBefore = { wallMs: this.#clock.nowMs() + delayMs, monotonicMs: this.#clock.monotonicMs() + delayMs };
  }

  #backoffLeftMs(): number {
    return Math.min(this.#notBefore.wallMs - this.#clock.nowMs(), this.#notBefore.monotonicMs - this.#clock.monotonicMs());
  }
}

const refusedText =
  'the pool does not believe this machine any more: its Provider was deleted or revoked. What runs here goes on; ask the admin of the pool, or run potluck leave --force';

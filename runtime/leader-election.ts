/**
 * One of several processes leads, by a Lease. After client-go `tools/leaderelection`, with its promise made strict: a leader whose work has
 * not stopped by the time its lease can be taken ends the process.
 *
 * Why never two lead at once: a candidate takes a lease only `leaseDuration` after it *saw* the last renewal, on its own monotonic clock. The
 * leader counts from before it *sent* that renewal, stops after `renewDeadline`, and has the difference to stop its work in.
 */
import { formatKey } from '../api/object.ts';
import type { ObjectKey } from '../api/object.ts';
import { leases } from '../api/resource-type.ts';
import type { Lease } from '../api/resource-type.ts';
import { formatMicroTime } from '../api/time.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import { systemClock, waitFor } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface LeaderElectionOptions {
  client: Client;
  /** Of the Lease; its namespace must exist. */
  lease: Required<ObjectKey>;
  /** Unique among the candidates, also after a restart: a host name and something random. */
  identity: string;
  logger: Logger;
  /** How long a leader that is not heard of keeps the lead; 15 s. */
  leaseDurationMs?: number;
  /** A leader that could not renew for so long stops; 10 s. */
  renewDeadlineMs?: number;
  /** Between attempts; 2 s, candidates up to a fifth more. */
  retryPeriodMs?: number;
  clock?: Clock;
  random?: () => number;
  /** Starts the work. A throw gives the lead up. */
  onStarted(term: Term): void | Promise<void>;
  /** Stops the work; must resolve within leaseDuration − renewDeadline when the lead was lost. Called once for each term. */
  onStopped(reason: string): void | Promise<void>;
  /** The work did not stop in time. Ends the process by default, as nothing else keeps two from leading. */
  onOverrun?: () => void;
}

export interface Term {
  /** Grows with every change of leader: a fencing token. */
  leaseTransitions: number;
  /** Aborts when the lead is lost or given up. */
  signal: AbortSignal;
}

export interface LeaderElection {
  /** Asks the clock, not a flag: false as soon as the renew deadline has passed, even if no timer has fired yet (a pause, a sleep). */
  isLeader(): boolean;
  /** Who led when we last looked. */
  readonly leader: string | undefined;
  /** Stops the work, then gives the lease back so that another may lead at once. */
  stop(): Promise<void>;
}

export function runLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Election(options);
}

/** Both clocks: the monotonic one stands still while a machine sleeps, the wall clock may be set back. */
interface Moment {
  monotonicMs: number;
  wallMs: number;
}

class Election implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  /** The lease as last read or written, and when it was first seen so. */
  #observed: { lease: Lease; sinceMs: number } | undefined;
  /** When the last renewal that succeeded was sent. */
  #renewed: Moment | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({ lease: formatKey(options.lease), identity: options.identity });
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
    if (!(this.#retryPeriodMs < this.#renewDeadlineMs && this.#renewDeadlineMs < this.#leaseDurationMs)) {
      throw new RangeError('a leader election needs retryPeriodMs < renewDeadlineMs < leaseDurationMs');
    }
    this.#loop = this.#run();
  }

  get leader(): string | undefined {
    const holder = this.#observed?.lease.spec.holderIdentity;
    return holder === '' ? undefined : holder;
  }

  isLeader(): boolean {
    return this.leader === this.#options.identity && this.#remainingMs(this.#renewDeadlineMs) > 0;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the program stops'));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { random = Math.random } = this.#options;
    while (!signal.aborted) {
      if (await this.#attempt(this.#renewDeadlineMs / 2, signal)) await this.#lead();
      await waitFor(this.#clock, this.#retryPeriodMs * (1 + 0.2 * random()), signal);
    }
  }

  /** One term: work runs beside the renewals until the lead is lost, given up, or the work failed. */
  async #lead(): Promise<void> {
    const ended = new AbortController();
    const leaseTransitions = this.#observed?.lease.spec.leaseTransitions ?? 0;
    this.#logger.info('leading', { leaseTransitions });
    const onStop = (): void => ended.abort(new Error('given up'));
    this.#stopping.signal.addEventListener('abort', onStop, { once: true });
    if (this.#stopping.signal.aborted) onStop();
    const started = Promise.resolve()
      .then(() => this.#options.onStarted({ leaseTransitions, signal: ended.signal }))
      .catch((error: unknown) => {
        this.#logger.error('the leader could not start its work', { error });
        ended.abort(new Error('its work could not start'));
      });
    const reason = await this.#renewUntilEnd(ended.signal);
    ended.abort(new Error(reason));
    this.#stopping.signal.removeEventListener('abort', onStop);
    this.#logger.info('leading no more', { reason });
    await this.#stopWork(started, reason);
    await this.#release();
  }

  /** Answers why the term ended. */
  async #renewUntilEnd(ended: AbortSignal): Promise<string> {
    for (;;) {
      await waitFor(this.#clock, Math.min(this.#retryPeriodMs, this.#remainingMs(this.#renewDeadlineMs)), ended);
      if (ended.aborted) return (ended.reason as Error).message;
      if (!this.isLeader()) return 'the lease could not be renewed in time';
      await this.#attempt(Math.min(this.#renewDeadlineMs / 2, this.#remainingMs(this.#renewDeadlineMs)), ended);
      if (this.leader !== this.#options.identity) return `${this.leader ?? 'nobody'} has the lease`;
    }
  }

  /** Goes on renewing, if that is possible, while the work stops: the lease must not run out before that. */
  async #stopWork(started: Promise<void>, reason: string): Promise<void> {
    const stopped = new AbortController();
    const work = Promise.resolve()
      .then(() => this.#options.onStopped(reason))
      .then(() => started)
      .catch((error: unknown) => this.#logger.error('the work of a leader did not stop cleanly', { error }))
      .finally(() => stopped.abort());
    while (!stopped.signal.aborted) {
      const leftMs = this.#remainingMs(this.#leaseDurationMs);
      if (leftMs <= 0) {
        this.#onOverrun();
        break;
      }
      await waitFor(this.#clock, Math.min(this.#retryPeriodMs, leftMs), stopped.signal);
      const isOurs = this.leader === this.#options.identity;
      if (isOurs) await this.#attempt(Math.min(this.#renewDeadlineMs / 2, this.#remainingMs(this.#leaseDurationMs)), stopped.signal);
    }
    await work;
  }

  #onOverrun(): void {
    this.#logger.error('the work of a leader did not stop before its lease ran out');
    if (this.#options.onOverrun === undefined) process.exit(1);
    this.#options.onOverrun();
  }

  /** Acquires or renews by compare-and-set. Answers whether we hold the lease now; never rejects. */
  async #attempt(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const { client, lease: key } = this.#options;
    const options = { timeoutMs: Math.max(1, Math.floor(timeoutMs)), signal };
    // Before the read: the moment from which our right counts must lie before any candidate can have seen it.
    const sent = this.#now();
    try {
      const stored = await client.get(leases, key, options).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (stored !== undefined) this.#observe(stored);
      if (stored !== undefined && !this.#mayTake(stored)) return false;
      const wanted = this.#claim(stored);
      this.#observe(stored === undefined ? await client.create(leases, wanted, options) : await client.replace(leases, wanted, options));
      this.#renewed = sent;
      return true;
    } catch (error) {
      const isExpected = isConflict(error) || isAlreadyExists(error) || signal.aborted;
      if (!isExpected) this.#logger.warn('the lease could not be renewed or taken', { error });
      return false;
    }
  }

  #mayTake({ spec }: Lease): boolean {
    const { holderIdentity = '', leaseDurationSeconds = 0 } = spec;
    if (holderIdentity === '' || holderIdentity === this.#options.identity) return true;
    const durationMs = Math.max(leaseDurationSeconds * 1000, this.#leaseDurationMs);
    return this.#observed !== undefined && this.#clock.monotonicMs() - this.#observed.sinceMs > durationMs;
  }

  #claim(stored: Lease | undefined): Lease {
    const { lease, identity } = this.#options;
    const time = formatMicroTime(this.#clock.nowMs());
    const isRenewal = stored?.spec.holderIdentity === identity && this.#renewed !== undefined;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: stored?.metadata ?? { ...lease },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: (isRenewal ? stored.spec.acquireTime : undefined) ?? time,
        renewTime: time,
        leaseTransitions: (stored?.spec.leaseTransitions ?? 0) + (isRenewal || stored === undefined ? 0 : 1),
      },
    };
  }

  #observe(lease: Lease): void {
    const isNews = this.#observed?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion;
    if (isNews) this.#observed = { lease, sinceMs: this.#clock.monotonicMs() };
  }

  async #release(): Promise<void> {
    const held = this.#observed?.lease;
    const wasHeld = this.isLeader() && held?.spec.holderIdentity === this.#options.identity;
    this.#renewed = undefined;
    if (!wasHeld) return;
    const renewTime = formatMicroTime(this.#clock.nowMs());
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime };
    try {
      this.#observe(await this.#options.client.replace(leases, { ...held, spec }, { timeoutMs: 2_000 }));
    } catch (error) {
      this.#logger.debug('the lease could not be given back; it runs out by itself', { error });
    }
  }

  /** What is left of a time that began with the last renewal. */
  #remainingMs(durationMs: number): number {
    return this.#renewed === undefined ? 0 : Math.max(0, durationMs - this.#sinceMs(this.#renewed));
  }

  #now(): Moment {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.nowMs() };
  }

  #sinceMs(moment: Moment): number {
    const now = this.#now();
    return Math.max(now.monotonicMs - moment.monotonicMs, now.wallMs - moment.wallMs);
  }
}

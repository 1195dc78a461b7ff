/**
 * Tells people what happened to an object, as core/v1 Events. The same thing said again counts up; an object that has much to say is
 * slowed down; the caller never waits and never fails. After client-go `tools/record`.
 */
import { randomBytes } from 'node:crypto';
import { createBackoff } from '../api/backoff.ts';
import type { KubernetesObject } from '../api/object.ts';
import { events } from '../api/resource-type.ts';
import type { Event } from '../api/resource-type.ts';
import { formatTime } from '../api/time.ts';
import { ApiError, isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import { systemClock, waitFor } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { RecentMap } from './recent-map.ts';

export interface EventRecorder {
  /** `reason` is one CamelCase word, the reason of the condition that the event tells of; `message` one sentence. */
  record(object: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves when what was recorded so far is written or given up. */
  flush(): Promise<void>;
  /** Writes what waits, for at most two seconds, and takes nothing in any more. */
  stop(): Promise<void>;
}

export interface EventRecorderOptions {
  client: Client;
  /** Who says so: `scheduler`. */
  component: string;
  /** Which one of several: a host or pod name. */
  instance?: string;
  logger: Logger;
  clock?: Clock;
  random?: () => number;
}

/** Of one object: so many at once, then one every five minutes, as client-go's spam filter. */
const burst = 25;
const refillMs = 300_000;
/** The same words after this long are a new event. */
const forgetMs = 600_000;
const mostRemembered = 4096;
const mostWaiting = 1000;
const longestMessage = 1024;
const attempts = 4;
const stopTimeoutMs = 2_000;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

/** What waits to be written: once for each thing that was said, however often it was said. */
interface Pending {
  object: KubernetesObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  times: number;
  lastMs: number;
}

interface Written {
  namespace: string;
  name: string;
  count: number;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();
  readonly #written: RecentMap<Written>;
  readonly #buckets: RecentMap<{ tokens: number; atMs: number }>;
  readonly #stopping = new AbortController();
  #isClosed = false;
  #dropped = 0;
  #loop: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#written = new RecentMap(mostRemembered, forgetMs);
    this.#buckets = new RecentMap(mostRemembered, refillMs * burst);
  }

  record(object: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#isClosed || object.metadata.name === undefined) return;
    const short = message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message;
    const key = JSON.stringify([objectKey(object), type, reason, short]);
    const nowMs = this.#clock.nowMs();
    const waiting = this.#pending.get(key);
    if (waiting !== undefined) {
      waiting.times += 1;
      waiting.lastMs = nowMs;
      return;
    }
    if (this.#pending.size >= mostWaiting || !this.#takeToken(objectKey(object))) {
      this.#dropped += 1;
      return;
    }
    this.#pending.set(key, { object, type, reason, message: short, times: 1, lastMs: nowMs });
    this.#loop ??= this.#drain();
  }

  async flush(): Promise<void> {
    await this.#loop;
  }

  async stop(): Promise<void> {
    this.#isClosed = true;
    const cancel = this.#clock.setTimer(() => {
      this.#stopping.abort(new Error('the program stops'));
    }, stopTimeoutMs);
    await this.flush();
    cancel();
  }

  #takeToken(object: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#buckets.get(object, nowMs) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, known.tokens + (nowMs - known.atMs) / refillMs);
    this.#buckets.set(object, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs }, nowMs);
    return tokens >= 1;
  }

  /** Writes what waits, one after the other; never rejects. */
  async #drain(): Promise<void> {
    // What is recorded within this turn of the event loop is counted together.
    await Promise.resolve();
    for (const [key, pending] of this.#pending) {
      this.#pending.delete(key);
      await this.#writeWithRetries(key, pending);
    }
    if (this.#dropped > 0) this.#options.logger.debug('events were dropped', { count: this.#dropped });
    this.#dropped = 0;
    // In the turn that found nothing left: what is recorded after it starts a new loop.
    this.#loop = undefined;
  }

  async #writeWithRetries(key: string, pending: Pending): Promise<void> {
    const backoff = createBackoff({ baseMs: 500, capMs: 5_000 }, this.#options.random ?? Math.random);
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#stopping.signal.throwIfAborted();
        await this.#write(key, pending);
        return;
      } catch (error) {
        const isFinal = error instanceof ApiError && error.code < 500 && error.code !== 429;
        if (isFinal || attempt >= attempts || this.#stopping.signal.aborted) {
          this.#options.logger.debug('an event could not be written', { reason: pending.reason, error });
          return;
        }
        await waitFor(this.#clock, backoff.nextMs(), this.#stopping.signal);
      }
    }
  }

  async #write(key: string, pending: Pending): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stopping;
    const nowMs = this.#clock.monotonicMs();
    const before = this.#written.get(key, nowMs);
    if (before !== undefined) {
      const count = before.count + pending.times;
      try {
        await client.patch(events, before, { count, lastTimestamp: formatTime(pending.lastMs) }, { signal });
        this.#written.set(key, { ...before, count }, nowMs);
        return;
      } catch (error) {
        // It expired on the server: say it anew.
        if (!isNotFound(error)) throw error;
      }
    }
    const event = this.#compose(pending);
    await client.create(events, event, { signal });
    this.#written.set(key, { namespace: event.metadata.namespace, name: event.metadata.name, count: pending.times }, nowMs);
  }

  #compose({ object, type, reason, message, times, lastMs }: Pending): Event & { metadata: { namespace: string; name: string } } {
    const { component, instance } = this.#options;
    const { name = '', namespace, uid, resourceVersion } = object.metadata;
    const optional = Object.fromEntries(Object.entries({ namespace, uid, resourceVersion }).filter(([, value]) => value !== undefined));
    const time = formatTime(lastMs);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      // Kubernetes keeps events of cluster-scoped objects in `default`. Names hold 253 characters.
      metadata: { namespace: namespace ?? 'default', name: `${name.slice(0, 230)}.${randomBytes(8).toString('hex')}` },
      involvedObject: { apiVersion: object.apiVersion, kind: object.kind, name, ...optional },
      type,
      reason,
      message,
      count: times,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component, ...(instance === undefined ? {} : { host: instance }) },
      reportingComponent: component,
      reportingInstance: instance ?? '',
    };
  }
}

function objectKey(object: KubernetesObject): string {
  return JSON.stringify([object.kind, object.metadata.namespace, object.metadata.name, object.metadata.uid]);
}

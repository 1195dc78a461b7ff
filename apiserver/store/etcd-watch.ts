import { setTimeout as delay } from 'node:timers/promises';
import type { IEvent, IWatchResponse } from 'etcd3';
import type { EtcdConnection, WatchStream } from './etcd-connection.ts';
import { type EtcdKeyspace, revisionNumber } from './etcd-keyspace.ts';
import { type Change, CompactedError, type StoreWatch, type WatchOptions } from './store.ts';

/** How long etcd may take to confirm a watch before the stream counts as dead. */
const createTimeoutMs = 5_000;
const firstBackoffMs = 100;
const longestBackoffMs = 2_000;

/** One watch over as many gRPC streams as it takes: each new one begins right after the last revision that was delivered. */
export class EtcdWatch implements StoreWatch {
  readonly #connection: EtcdConnection;
  readonly #keyspace: EtcdKeyspace;
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  readonly #finished: Promise<void>;
  #nextRevision: number;

  constructor(connection: EtcdConnection, keyspace: EtcdKeyspace, options: WatchOptions) {
    this.#connection = connection;
    this.#keyspace = keyspace;
    this.#options = options;
    this.#nextRevision = options.afterRevision + 1;
    this.#finished = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#finished;
  }

  async #run(): Promise<void> {
    // Lets the caller hold the watch before anything is delivered.
    await Promise.resolve();
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const startedAt = performance.now();
      await this.#follow();
      failures = performance.now() - startedAt > longestBackoffMs ? 0 : failures + 1;
      const ceilingMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** failures);
      await delay(Math.random() * ceilingMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Follows one stream until it ends, for whatever reason. */
  async #follow(): Promise<void> {
    const stream = await this.#connection.openWatch().catch(() => undefined);
    if (stream === undefined) return;
    const events = new RevisionAssembler();
    await new Promise<void>((resolve) => {
      let over = false;
      const finish = () => {
        if (over) return;
        over = true;
        clearTimeout(unconfirmed);
        this.#stop.signal.removeEventListener('abort', finish);
        stream.cancel();
        resolve();
      };
      const unconfirmed = setTimeout(finish, createTimeoutMs);
      stream.on('error', finish);
      stream.on('end', finish);
      stream.on('data', (response) => {
        if (over) return;
        if (response.created) clearTimeout(unconfirmed);
        if (!this.#accept(response, events)) finish();
      });
      this.#stop.signal.addEventListener('abort', finish);
      if (this.#stop.signal.aborted) finish();
      else this.#request(stream);
    });
  }

  #request(stream: WatchStream): void {
    stream.write({
      create_request: {
        ...this.#keyspace.range(this.#options.prefix),
        start_revision: this.#nextRevision,
        prev_kv: true,
        progress_notify: true,
        // Without it etcd packs up to 1,000 revisions in one message, which may be larger than it can send.
        fragment: true,
      },
    });
  }

  /** False when the stream is of no more use. */
  #accept(response: IWatchResponse, events: RevisionAssembler): boolean {
    const compactRevision = revisionNumber(response.compact_revision);
    if (compactRevision > 0) {
      this.#end(new CompactedError(compactRevision));
      return false;
    }
    if (response.canceled) return false;
    for (const { revision, events: ofRevision } of events.push(response)) {
      if (revision < this.#nextRevision) continue;
      this.#nextRevision = revision + 1;
      try {
        this.#options.onChanges(
          ofRevision.map((event) => this.#change(event)),
          revision,
        );
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
      }
      if (this.#stop.signal.aborted) return false;
    }
    // A progress notice: everything up to its revision was sent on this stream.
    if (!response.created && response.events.length === 0 && !events.incomplete) {
      this.#nextRevision = Math.max(this.#nextRevision, revisionNumber(response.header.revision) + 1);
    }
    return true;
  }

  #change(event: IEvent): Change {
    // An absent message is null here, whatever etcd3's types say.
    const before = event.prev_kv as IEvent['prev_kv'] | null;
    const previous = before === null ? undefined : this.#keyspace.entry(before);
    if (event.type === 'Put') return { type: 'put', entry: this.#keyspace.entry(event.kv), previous };
    return { type: 'delete', key: this.#keyspace.decodeKey(event.kv.key), modRevision: revisionNumber(event.kv.mod_revision), previous };
  }

  #end(error: Error): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#options.onEnd(error);
  }
}

interface Revision {
  revision: number;
  events: IEvent[];
}

/** Puts the events of watch responses together by revision. A response marked as a fragment may break off within its last revision. */
export class RevisionAssembler {
  #held: Revision | undefined;

  /** True while part of a revision is held back. */
  get incomplete(): boolean {
    return this.#held !== undefined;
  }

  /** The revisions that are now complete, in order. */
  push(response: Pick<IWatchResponse, 'events' | 'fragment'>): Revision[] {
    const revisions: Revision[] = this.#held === undefined ? [] : [this.#held];
    this.#held = undefined;
    for (const event of response.events) {
      const revision = revisionNumber(event.kv.mod_revision);
      const last = revisions.at(-1);
      if (last?.revision === revision) last.events.push(event);
      else revisions.push({ revision, events: [event] });
    }
    if (response.fragment) this.#held = revisions.pop();
    return revisions;
  }
}

/** The oldest revision that etcd still has, as it says when asked to watch from one that it has not. Reads do not say it. */
export async function findCompactRevision(connection: EtcdConnection, compacted: number): Promise<number> {
  const stream = await connection.openWatch().catch(() => undefined);
  if (stream === undefined) return compacted + 1;
  return new Promise((resolve) => {
    const answer = (revision: number) => {
      clearTimeout(silence);
      stream.cancel();
      resolve(revision);
    };
    const silence = setTimeout(() => answer(compacted + 1), createTimeoutMs);
    const giveUp = () => answer(compacted + 1);
    stream.on('error', giveUp);
    stream.on('end', giveUp);
    stream.on('data', ({ compact_revision: revision }) => {
      if (revision !== '0') answer(revisionNumber(revision));
    });
    stream.write({ create_request: { key: Buffer.of(0), start_revision: compacted } });
  });
}

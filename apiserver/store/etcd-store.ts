import type { IRangeResponse, IRequestOp } from 'etcd3';
import { EtcdConnection, type EtcdConnectionOptions } from './etcd-connection.ts';
import { isCompacted, isFutureRevision, isLeaseLost, isOutOfSpace, readError, writeError } from './etcd-errors.ts';
import { EtcdKeyspace, revisionNumber } from './etcd-keyspace.ts';
import { SharedLeases } from './etcd-leases.ts';
import { EtcdWatch, findCompactRevision } from './etcd-watch.ts';
import {
  CompactedError,
  type Entry,
  FutureRevisionError,
  type GetResult,
  type ListOptions,
  type ListResult,
  OutcomeUnknownError,
  type Store,
  StoreUnavailableError,
  type StoreWatch,
  type WatchOptions,
  type WriteOptions,
  type WriteResult,
} from './store.ts';

export interface EtcdStoreOptions extends EtcdConnectionOptions {
  /** Stands before every key in etcd; callers do not see it. */
  keyPrefix?: string;
}

/**
 * The store over etcd 3.4 or newer. It connects when it is first used; every call ends within `requestTimeoutMs` (5 s), whatever etcd does.
 *
 * Values of up to 3 MiB need an etcd with `--max-request-bytes=4194304`, as the one that we supervise has; others refuse above
 * 1.5 MiB, which throws `ValueTooLargeError`.
 */
export function createEtcdStore(options: EtcdStoreOptions): Store {
  return new EtcdStore(new EtcdConnection(options), new EtcdKeyspace(options.keyPrefix ?? ''));
}

/** First page of an unbounded list: even of 3 MiB values it stays below the 2 GiB that etcd can send at once. */
const firstPageEntries = 500;
const mostPageEntries = 10_000;
const wantedPageBytes = 8 * 1024 * 1024;

class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #keyspace: EtcdKeyspace;
  readonly #leases: SharedLeases;
  readonly #watches = new Set<EtcdWatch>();

  constructor(connection: EtcdConnection, keyspace: EtcdKeyspace) {
    this.#connection = connection;
    this.#keyspace = keyspace;
    this.#leases = new SharedLeases(connection, () => performance.now());
  }

  async get(key: string): Promise<GetResult> {
    const { kvs, header } = await this.#range({ key: this.#keyspace.key(key) });
    return { entry: this.#only(kvs), revision: revisionNumber(header.revision) };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { limit = Infinity, startKey } = options;
    if (startKey?.startsWith(prefix) === false) throw new RangeError('the first key of a list must lie under its prefix');
    const entries: Entry[] = [];
    const range = this.#keyspace.range(prefix, startKey);
    let pageEntries = firstPageEntries;
    for (let { revision } = options; ;) {
      const wanted = Math.min(limit - entries.length, pageEntries);
      const page = await this.#range({ ...range, limit: wanted, ...(revision === undefined ? {} : { revision }) });
      // With a revision asked for, the header still has the store's current one.
      revision ??= revisionNumber(page.header.revision);
      for (const kv of page.kvs) entries.push(this.#keyspace.entry(kv));
      const last = page.kvs.at(-1);
      if (last === undefined || !page.more || entries.length >= limit) {
        return { entries, revision, more: page.more, remaining: Number(page.count) - page.kvs.length };
      }
      range.key = Buffer.concat([last.key, Buffer.of(0)]);
      pageEntries = nextPageEntries(page);
    }
  }

  create(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#put(key, value, 0, options);
  }

  async replace(key: string, value: Uint8Array, expectedModRevision: number, options: WriteOptions = {}): Promise<WriteResult> {
    requireRevision(expectedModRevision);
    return this.#put(key, value, expectedModRevision, options);
  }

  async remove(key: string, expectedModRevision: number): Promise<WriteResult> {
    requireRevision(expectedModRevision);
    return this.#compareAndSet(key, expectedModRevision, { request_delete_range: { key: this.#keyspace.key(key) } }).catch(
      rethrow(writeError),
    );
  }

  async currentRevision(): Promise<number> {
    const { header } = await this.#range({ key: Buffer.of(0), count_only: true });
    return revisionNumber(header.revision);
  }

  watch(options: WatchOptions): StoreWatch {
    const watch = new EtcdWatch(this.#connection, this.#keyspace, {
      ...options,
      onEnd: (error) => {
        this.#watches.delete(watch);
        options.onEnd(error);
      },
    });
    this.#watches.add(watch);
    return {
      close: async () => {
        this.#watches.delete(watch);
        await watch.close();
      },
    };
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#connection.write('compact', { revision });
    } catch (error) {
      // Someone else forgot as much or more already.
      if (isCompacted(error)) return;
      if (isFutureRevision(error)) throw new FutureRevisionError(await this.currentRevision());
      throw writeError(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch.close()));
    this.#watches.clear();
    this.#connection.close();
  }

  async #put(key: string, value: Uint8Array, expected: number, { timeToLiveSeconds }: WriteOptions): Promise<WriteResult> {
    const put = { key: this.#keyspace.key(key), value: Buffer.from(value.buffer, value.byteOffset, value.byteLength) };
    if (timeToLiveSeconds === undefined) return this.#compareAndSet(key, expected, { request_put: put }).catch(rethrow(writeError));
    // A lease that is never used goes away by itself, so a grant of unknown outcome has written nothing.
    const grant = () => this.#leases.leaseFor(timeToLiveSeconds).catch(rethrow(readError));
    const lease = await grant();
    try {
      return await this.#compareAndSet(key, expected, { request_put: { ...put, lease } });
    } catch (error) {
      if (!isLeaseLost(error)) throw writeError(error);
      await this.#leases.forget(lease);
    }
    // etcd refused the first try, so this is not a second sending.
    return this.#compareAndSet(key, expected, { request_put: { ...put, lease: await grant() } }).catch(rethrow(writeError));
  }

  /** One transaction: the write if the key has the expected mod revision (0: is absent), else a read of what it has. */
  async #compareAndSet(key: string, expected: number, write: IRequestOp): Promise<WriteResult> {
    const encoded = this.#keyspace.key(key);
    try {
      const { header, succeeded, responses } = await this.#connection.write('txn', {
        compare: [{ key: encoded, target: 'Mod', result: 'Equal', mod_revision: expected }],
        success: [write],
        failure: [{ request_range: { key: encoded } }],
      });
      const revision = revisionNumber(header.revision);
      return succeeded ? { succeeded, revision } : { succeeded, current: this.#only(responses[0]?.response_range.kvs ?? []), revision };
    } catch (error) {
      if (isOutOfSpace(error)) throw await this.#outOfSpace(key, expected, error);
      throw error;
    }
  }

  async #outOfSpace(key: string, expected: number, error: unknown): Promise<Error> {
    const { entry } = await this.get(key).catch(() => ({ entry: 'unknown' as const }));
    const remedy = 'etcd used up its quota: compact, defragment, disarm the alarm, or raise --quota-backend-bytes';
    if (entry !== 'unknown' && (entry?.modRevision ?? 0) === expected)
      return new StoreUnavailableError(`nothing was written; ${remedy}`, { cause: error });
    return new OutcomeUnknownError(`the write may have been stored; ${remedy}`, { cause: error });
  }

  async #range(request: Parameters<EtcdConnection['read']>[1]): Promise<IRangeResponse> {
    try {
      return await this.#connection.read('range', request);
    } catch (error) {
      const revision = Number(request.revision ?? 0);
      if (isCompacted(error)) throw new CompactedError(await findCompactRevision(this.#connection, revision));
      if (isFutureRevision(error)) throw new FutureRevisionError(await this.currentRevision());
      throw readError(error);
    }
  }

  #only(kvs: IRangeResponse['kvs']): Entry | undefined {
    const kv = kvs[0];
    return kv === undefined ? undefined : this.#keyspace.entry(kv);
  }
}

function nextPageEntries({ kvs }: IRangeResponse): number {
  const bytes = kvs.reduce((sum, kv) => sum + kv.value.length, 1);
  return Math.max(firstPageEntries, Math.min(mostPageEntries, Math.floor((wantedPageBytes * kvs.length) / bytes)));
}

/** A mod revision of 0 means "absent" to etcd, and would turn a replacement into a creation. */
function requireRevision(expectedModRevision: number): void {
  if (!Number.isSafeInteger(expectedModRevision) || expectedModRevision < 1) {
    throw new RangeError(`an expected mod revision must be a positive integer, not ${expectedModRevision}`);
  }
}

function rethrow(translate: (error: unknown) => unknown): (error: unknown) => never {
  return (error) => {
    throw translate(error);
  };
}

import type { IKeyValue } from 'etcd3';
import type { Entry } from './store.ts';

/** The keys of one store inside etcd: every key of ours stands behind a prefix that callers do not see. */
export class EtcdKeyspace {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  key(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  /** The half-open range of all keys under `prefix`, from `startKey` on. */
  range(prefix: string, startKey?: string): { key: Buffer; range_end: Buffer } {
    const start = this.key(startKey ?? prefix);
    return { key: start.length === 0 ? Buffer.of(0) : start, range_end: endOfPrefix(this.key(prefix)) };
  }

  decodeKey(key: Buffer): string {
    return key.toString().slice(this.#prefix.length);
  }

  entry(kv: IKeyValue): Entry {
    return {
      key: this.decodeKey(kv.key),
      // A copy: what the decoder gives is a view that would keep the whole message, a page of a list, in memory.
      value: Buffer.from(kv.value),
      createRevision: revisionNumber(kv.create_revision),
      modRevision: revisionNumber(kv.mod_revision),
    };
  }
}

/** The first key after all that begin with `prefix`; for etcd a zero byte means "to the end". */
export function endOfPrefix(prefix: Buffer): Buffer {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) return Buffer.of(0);
  const end = Buffer.from(prefix.subarray(0, length));
  end.writeUInt8(end.readUInt8(length - 1) + 1, length - 1);
  return end;
}

/** etcd's 64-bit revision as a number; throws where a number would no longer be exact. */
export function revisionNumber(revision: string): number {
  const number = Number(revision);
  if (!Number.isSafeInteger(number)) throw new RangeError(`etcd's revision ${revision} is beyond 2^53`);
  return number;
}

/**
 * How an object lies in the store, and what readers get of it. Stored is JSON without `metadata.resourceVersion`, which the store's own
 * revision gives; readers get the same bytes with it spliced in as the first key of the metadata, so that nothing is parsed for them.
 */
import type { KubernetesObject } from '../../api/object.ts';
import type { Entry } from '../store/store.ts';
import { isObject, without, type JsonObject } from '../admission/json-value.ts';
import type { StoredObject } from './resource.ts';

const metadataKey = Buffer.from('"metadata":{');
const header = Buffer.from('{"apiVersion":"');
const quote = 0x22;

/**
 * The bytes to store. `apiVersion`, `kind` and `metadata` go first, which is where the splicing looks for them; a key that is a number would
 * come before them if all went through one `JSON.stringify`.
 */
export function encodeForStore(object: JsonObject): Buffer {
  const { apiVersion, kind, metadata, ...rest } = object;
  const head = JSON.stringify({ apiVersion, kind, metadata: without(metadata as JsonObject, 'resourceVersion') });
  const tail = JSON.stringify(rest);
  return Buffer.from(tail === '{}' ? head : `${head.slice(0, -1)},${tail.slice(1)}`);
}

/** One revision of one object, with its bytes for readers; the object is parsed when first asked for. */
export class StoredEntry implements StoredObject {
  readonly key: string;
  readonly revision: number;
  /** Revision of the write that created the key: another one under the same key means another object. */
  readonly createRevision: number;
  readonly bytes: Buffer;
  /** Where `"resourceVersion":"…",` stands in `bytes`. */
  readonly #spliceStart: number;
  readonly #spliceEnd: number;
  #object: KubernetesObject | undefined;

  private constructor(raw: Buffer, at: number, entry: { key: string; modRevision: number; createRevision: number }) {
    this.key = entry.key;
    this.revision = entry.modRevision;
    this.createRevision = entry.createRevision;
    const insert = `"resourceVersion":"${entry.modRevision}",`;
    const bytes = Buffer.allocUnsafe(raw.length + insert.length);
    raw.copy(bytes, 0, 0, at);
    bytes.write(insert, at, 'latin1');
    raw.copy(bytes, at + insert.length, at);
    this.bytes = bytes;
    this.#spliceStart = at;
    this.#spliceEnd = at + insert.length;
  }

  /** Throws SyntaxError for what is no stored object. */
  static fromStore(entry: Entry): StoredEntry {
    const raw = asBuffer(entry.value);
    const at = spliceOffset(raw);
    if (at !== undefined) return new StoredEntry(raw, at, entry);
    const parsed: unknown = JSON.parse(raw.toString());
    if (!isObject(parsed) || !isObject(parsed['metadata'])) throw new SyntaxError(`${entry.key} holds no object with metadata`);
    const encoded = encodeForStore(parsed);
    const encodedAt = spliceOffset(encoded);
    if (encodedAt === undefined) throw new SyntaxError(`${entry.key} holds no object with an apiVersion, a kind and metadata`);
    return new StoredEntry(encoded, encodedAt, entry);
  }

  get object(): KubernetesObject {
    this.#object ??= JSON.parse(this.bytes.toString()) as KubernetesObject;
    return this.#object;
  }

  /** The same object under another revision, as a deletion shows it. */
  atRevision(revision: number): StoredEntry {
    const raw = Buffer.concat([this.bytes.subarray(0, this.#spliceStart), this.bytes.subarray(this.#spliceEnd)]);
    return new StoredEntry(raw, this.#spliceStart, { key: this.key, modRevision: revision, createRevision: this.createRevision });
  }
}

function asBuffer(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/**
 * Just behind the brace that opens the metadata, when the bytes begin with apiVersion, kind, metadata in this order and the metadata
 * has no resourceVersion as its first key; otherwise undefined.
 */
function spliceOffset(raw: Buffer): number | undefined {
  if (!raw.subarray(0, header.length).equals(header)) return undefined;
  const at = raw.indexOf(metadataKey);
  if (at === -1) return undefined;
  const head = raw.toString('latin1', 0, at);
  if (!/^\{"apiVersion":"[^"\\]*","kind":"[^"\\]*",$/.test(head)) return undefined;
  const offset = at + metadataKey.length;
  if (raw[offset] !== quote || raw.toString('latin1', offset, offset + 17) === '"resourceVersion"') return undefined;
  return offset;
}

/** What the operations on one served version of a resource work with, and how they reach the store. */
import type { KubernetesObject, ObjectKey } from '../../api/object.ts';
import {
  CompactedError,
  FutureRevisionError,
  OutcomeUnknownError,
  StoreUnavailableError,
  ValueTooLargeError,
  type Entry,
  type Store,
} from '../store/store.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import type { CacheFeed } from './cache-feed.ts';
import type { ResourceDefinition, Subresource, WriteOptions } from './resource.ts';
import type { StoredResource } from './resource-strategy.ts';
import { badRequest, StatusError } from './status-error.ts';
import { objectKey } from './storage-keys.ts';
import { encodeForStore, StoredEntry } from './stored-entry.ts';
import type { VersionView } from './version-view.ts';
import type { JsonObject } from '../admission/json-value.ts';

/** A write that is valid, and still to be allowed; `old` is absent for a creation. */
export interface CheckedWrite {
  definition: ResourceDefinition;
  subresource: Subresource | undefined;
  object: JsonObject;
  old: JsonObject | undefined;
  options: WriteOptions;
}

export interface ResourceContext {
  definition: ResourceDefinition;
  stored: StoredResource;
  view: VersionView;
  store: Store;
  feed: CacheFeed;
  admission: AdmissionChain;
  nowMs: () => number;
  /** Throws for a write that this user may not make although the verb is allowed: grants of what they do not hold. */
  checkWrite?: (write: CheckedWrite) => void;
  /** A new random UUID. */
  newUid: () => string;
  /** Five characters for generated names. */
  newSuffix: () => string;
}

/** A client may try again after this many seconds. */
const retryAfterSeconds = 1;
/** Most bytes of an encoded object: etcd takes requests up to 1.5 MiB. */
export const maxObjectBytes = 1_500_000;

/** The key in the store. Throws 400 for a name that would reach another object's key. */
export function storeKeyOf(context: ResourceContext, key: ObjectKey): string {
  for (const part of [key.name, key.namespace ?? 'none']) {
    if (part === '.' || part === '..') throw badRequest(`Name parameter invalid: ${JSON.stringify(part)}: may not be '${part}'`);
    if (part.includes('/')) throw badRequest(`Name parameter invalid: ${JSON.stringify(part)}: may not contain '/'`);
    if (part === '') throw badRequest('name must be provided');
  }
  return objectKey(context.stored.prefix, key);
}

/** The object as the store has it now; undefined if there is none. */
export async function readLatest(context: ResourceContext, storeKey: string): Promise<StoredEntry | undefined> {
  const { entry } = await reachStore(() => context.store.get(storeKey));
  return entry === undefined ? undefined : entryOf(context, entry);
}

/** The cache's decoding of `entry` if it has it, else a new one. */
export function entryOf(context: ResourceContext, entry: Entry): StoredEntry {
  const cached = context.stored.cache.latest(entry.key);
  return cached?.revision === entry.modRevision ? cached : StoredEntry.fromStore(entry);
}

/** Bytes to store; throws 413 for what etcd would refuse. */
export function encodeBounded(object: JsonObject): Buffer {
  const value = encodeForStore(object);
  if (value.length > maxObjectBytes) {
    throw new StatusError({
      message: `Request entity too large: the object has ${value.length} bytes, the limit is ${maxObjectBytes}`,
      reason: 'RequestEntityTooLarge',
      code: 413,
    });
  }
  return value;
}

/** What a write made of the object; the cache takes note of it. */
export function writtenEntry(context: ResourceContext, entry: Entry): StoredEntry {
  const written = StoredEntry.fromStore(entry);
  context.stored.cache.noteWrite(entry.key, entry.modRevision, written);
  return written;
}

/** An object that was not written: the answer to a dry run. */
export function unwritten(object: JsonObject, revision: number): { object: KubernetesObject; bytes: Buffer; revision: number } {
  return { object: object as unknown as KubernetesObject, bytes: Buffer.from(JSON.stringify(object)), revision };
}

/** Runs a request to the store; what goes wrong there becomes the answer that a client can act on. */
export async function reachStore<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw storeFailure(error);
  }
}

function storeFailure(error: unknown): unknown {
  if (error instanceof OutcomeUnknownError) {
    return new StatusError({
      message:
        'Timeout: the connection to the store broke during the write: it may or may not have happened; read the object before trying again',
      reason: 'Timeout',
      details: { retryAfterSeconds },
      code: 504,
    });
  }
  if (error instanceof StoreUnavailableError) {
    return new StatusError({
      message: 'the store cannot be reached; nothing was written',
      reason: 'ServiceUnavailable',
      details: { retryAfterSeconds },
      code: 503,
    });
  }
  if (error instanceof ValueTooLargeError) {
    return new StatusError({
      message: `the object is too large to be stored: ${error.message}`,
      reason: 'RequestEntityTooLarge',
      code: 413,
    });
  }
  if (error instanceof FutureRevisionError) return error;
  if (error instanceof CompactedError) {
    return new StatusError({ message: 'The resourceVersion for the provided list is too old.', reason: 'Expired', code: 410 });
  }
  return error;
}

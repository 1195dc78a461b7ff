import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject, ObjectKey } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import { isConflict } from '../client/client.ts';
import type { Client, RequestOptions } from '../client/client.ts';

export interface UpdateOptions extends RequestOptions {
  /** Saves the first read, when the caller has a copy that is probably the newest. It is not changed. */
  from?: KubernetesObject;
}

/** Changes the object that it gets, or answers another; `false` leaves everything as it is. */
export type Mutation<T> = ((object: T) => void) | ((object: T) => T | false);

/** Attempts in all; a conflict after that is thrown. */
const attempts = 5;

/**
 * Changes an object's status by compare-and-set: reads it, lets `mutate` change a copy (in place, or by answering another), and writes it
 * with the resourceVersion that was read, again from a fresh read after a conflict. Nothing is written when nothing changed, or when
 * `mutate` answers `false`. `mutate` may run several times and must decide anew each time: that is where fencing (uid, epoch) belongs.
 * Answers the object as it is now. Throws ApiError: 404 when it is gone, 409 after five conflicts.
 */
export async function updateStatus<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  key: ObjectKey,
  mutate: Mutation<T>,
  options: UpdateOptions = {},
): Promise<T> {
  return compareAndSet(
    { read: () => client.get(type, key, request(options)), write: (object) => client.replaceStatus(type, object, request(options)) },
    mutate,
    options,
  );
}

/** As {@link updateStatus}, for everything but the status: finalizers, spec, the objects that have no status. */
export async function updateObject<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  key: ObjectKey,
  mutate: Mutation<T>,
  options: UpdateOptions = {},
): Promise<T> {
  return compareAndSet(
    { read: () => client.get(type, key, request(options)), write: (object) => client.replace(type, object, request(options)) },
    mutate,
    options,
  );
}

interface Access<T> {
  read(): Promise<T>;
  write(object: T): Promise<T>;
}

async function compareAndSet<T extends KubernetesObject>(access: Access<T>, mutate: Mutation<T>, { from }: UpdateOptions): Promise<T> {
  let current = from === undefined ? await access.read() : (from as T);
  for (let attempt = 1; ; attempt += 1) {
    const draft = structuredClone(current);
    const answer: unknown = mutate(draft);
    if (answer === false) return current;
    const wanted = isObject<T>(answer) ? answer : draft;
    if (isDeepStrictEqual(asWritten(wanted), asWritten(current))) return current;
    if (wanted.metadata.resourceVersion === undefined) throw new TypeError(`${wanted.kind} has no resourceVersion to compare with`);
    try {
      return await access.write(wanted);
    } catch (error) {
      if (!isConflict(error) || attempt >= attempts) throw error;
    }
    current = await access.read();
  }
}

function isObject<T extends KubernetesObject>(answer: unknown): answer is T {
  return typeof answer === 'object' && answer !== null && 'metadata' in answer;
}

/** A field that is undefined is not written at all. */
function asWritten(object: KubernetesObject): unknown {
  return JSON.parse(JSON.stringify(object));
}

function request({ signal, timeoutMs }: RequestOptions): RequestOptions {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

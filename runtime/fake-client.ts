/**
 * A client that keeps objects in memory with the API's rules of compare-and-set; records calls and takes failures. For tests of machinery;
 * what needs an API server is tested with a real one. No watches.
 */
import { formatKey, keyOf } from '../api/object.ts';
import type { KubernetesObject, ObjectKey } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Status } from '../api/status.ts';
import { ApiError } from '../client/client.ts';
import type { Client } from '../client/client.ts';

export interface FakeClient extends Client {
  /** `method key` of every call, failed ones too. */
  readonly calls: string[];
  /** The next call rejects with it; several are taken in order. */
  failNext(...errors: Error[]): void;
  /** Somebody else changes the object. */
  disturb(type: ResourceType<KubernetesObject>, key: ObjectKey): void;
  /** While set, each call waits for it first. */
  gate: Promise<void> | undefined;
  objects<T extends KubernetesObject>(type: ResourceType<T>): T[];
}

export function createFakeClient(): FakeClient {
  const stored = new Map<string, KubernetesObject>();
  const failures: Error[] = [];
  let version = 0;
  const idOf = (type: ResourceType<KubernetesObject>, key: ObjectKey): string => `${type.plural}/${formatKey(key)}`;

  async function called(what: string): Promise<void> {
    fake.calls.push(what);
    // As over a network: never within the caller's turn.
    await new Promise((resolve) => setImmediate(resolve));
    await fake.gate;
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
  }

  function find(type: ResourceType<KubernetesObject>, key: ObjectKey): KubernetesObject {
    const object = stored.get(idOf(type, key));
    if (object === undefined) throw failed(404, 'NotFound', `${type.plural} "${formatKey(key)}" not found`);
    return object;
  }

  function store<T extends KubernetesObject>(type: ResourceType<T>, object: T): T {
    version += 1;
    const copy = structuredClone(object);
    copy.metadata.resourceVersion = String(version);
    stored.set(idOf(type, keyOf(object)), copy);
    return structuredClone(copy);
  }

  function replaceStored<T extends KubernetesObject>(type: ResourceType<T>, object: T): T {
    const before = find(type, keyOf(object));
    if (before.metadata.resourceVersion !== object.metadata.resourceVersion) throw failed(409, 'Conflict', 'the object has been modified');
    return store(type, object);
  }

  const fake: FakeClient = {
    calls: [],
    gate: undefined,
    failNext: (...errors) => void failures.push(...errors),
    disturb(type, key) {
      const object = structuredClone(find(type, key));
      const count = Number(object.metadata.annotations?.['disturbed'] ?? 0) + 1;
      object.metadata.annotations = { disturbed: String(count) };
      store(type, object);
    },
    objects: <T extends KubernetesObject>(type: ResourceType<T>) =>
      [...stored].filter(([id]) => id.startsWith(`${type.plural}/`)).map(([, object]) => structuredClone(object) as T),
    async get<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey) {
      await called(`get ${formatKey(key)}`);
      return structuredClone(find(type as ResourceType<KubernetesObject>, key)) as T;
    },
    async list<T extends KubernetesObject>(type: ResourceType<T>) {
      await called(`list ${type.plural}`);
      return { items: fake.objects(type), resourceVersion: String(version) };
    },
    async create<T extends KubernetesObject>(type: ResourceType<T>, object: T) {
      await called(`create ${formatKey(keyOf(object))}`);
      if (stored.has(idOf(type, keyOf(object)))) throw failed(409, 'AlreadyExists', 'it exists');
      return store(type, object);
    },
    async replace<T extends KubernetesObject>(type: ResourceType<T>, object: T) {
      await called(`replace ${formatKey(keyOf(object))}`);
      return replaceStored(type, object);
    },
    async replaceStatus<T extends KubernetesObject>(type: ResourceType<T>, object: T) {
      await called(`replaceStatus ${formatKey(keyOf(object))}`);
      return replaceStored(type, object);
    },
    async patch<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, patch: object) {
      await called(`patch ${formatKey(key)}`);
      return store(type, { ...(find(type as ResourceType<KubernetesObject>, key) as T), ...patch });
    },
    async delete(type, key) {
      await called(`delete ${formatKey(key)}`);
      find(type, key);
      stored.delete(idOf(type, key));
    },
    watch: () => Promise.reject(new Error('the fake client watches nothing')),
    request: () => Promise.reject(new Error('the fake client takes no plain requests')),
  };
  return fake;
}

function failed(code: number, reason: string, message: string): ApiError {
  const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message };
  return new ApiError(code, status, message);
}

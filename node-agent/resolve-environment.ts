/**
 * Reads what an instance's environment names, when its container is made. What is read goes to the engine and nowhere else: messages have the names
 * of objects and keys, never values. Words and rules are kubelet's (`pkg/kubelet/kubelet_pods.go`, makeEnvironmentVariables).
 */
import { configMaps, secrets } from '../api/resource-type.ts';
import { ApiError, isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { ContainerSpec } from './engine/engine.ts';
import type { Environment, EnvironmentSource } from './plan/world.ts';

/** Why a container cannot be given its environment. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

type Values = ReadonlyMap<string, string>;

/** For all objects of one container. */
const timeoutMs = 15_000;
/** The kernel takes 2 MB of arguments and environment together on its usual stack; a container engine somewhat less. */
const mostBytes = 1024 * 1024;

/** @throws {EnvironmentError} for what is missing, may not be read, or can be no variable. */
export async function resolveEnvironment(client: Pick<Client, 'get'>, { namespace, entries }: Environment): Promise<ContainerSpec['env']> {
  const reader = new SourceReader(client, namespace);
  const variables = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind === 'value') {
      variables.set(entry.name, entry.value);
      continue;
    }
    const values = await reader.read(entry.source);
    if (values === undefined) continue;
    if (entry.kind === 'all') {
      for (const key of values.keys()) variables.set(entry.prefix + key, reader.valueOf(entry.source, values, key) ?? '');
      continue;
    }
    const value = reader.valueOf(entry.source, values, entry.key);
    if (value !== undefined) variables.set(entry.name, value);
    else if (!entry.source.optional) throw new EnvironmentError(`couldn't find key ${entry.key} in ${reader.nameOf(entry.source)}`);
  }
  const env = [...variables].map(([name, value]) => ({ name, value }));
  const bytes = env.reduce((sum, { name, value }) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (bytes > mostBytes) throw new EnvironmentError(`the environment has ${bytes} bytes, and may have ${mostBytes}`);
  return env;
}

/** Reads each object once. */
class SourceReader {
  readonly #client: Pick<Client, 'get'>;
  readonly #namespace: string;
  readonly #signal = AbortSignal.timeout(timeoutMs);
  readonly #read = new Map<string, Values | undefined>();

  constructor(client: Pick<Client, 'get'>, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Undefined where it is missing and may be; values as the API has them. */
  async read(source: EnvironmentSource): Promise<Values | undefined> {
    const id = `${source.kind}/${source.name}`;
    if (!this.#read.has(id)) this.#read.set(id, await this.#get(source));
    const values = this.#read.get(id);
    if (values === undefined && !source.optional)
      throw new EnvironmentError(`${source.kind.toLowerCase()} ${JSON.stringify(source.name)} not found`);
    return values;
  }

  valueOf(source: EnvironmentSource, values: Values, key: string): string | undefined {
    const raw = values.get(key);
    if (raw === undefined) return undefined;
    const text = source.kind === 'Secret' ? decode(raw) : raw;
    if (text !== undefined && !text.includes('\0')) return text;
    throw new EnvironmentError(`the value of key ${key} in ${this.nameOf(source)} is no text, so it cannot be an environment variable`);
  }

  nameOf({ kind, name }: EnvironmentSource): string {
    return `${kind} ${this.#namespace}/${name}`;
  }

  async #get({ kind, name }: EnvironmentSource): Promise<Values | undefined> {
    const key = { namespace: this.#namespace, name };
    const options = { signal: this.#signal };
    try {
      const { data } = await (kind === 'Secret' ? this.#client.get(secrets, key, options) : this.#client.get(configMaps, key, options));
      return new Map(Object.entries(data ?? {}));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      const why = error instanceof ApiError ? error.message : 'the API does not answer';
      throw new EnvironmentError(`${kind} ${this.#namespace}/${name} cannot be read: ${why}`, { cause: error });
    }
  }
}

/** Undefined for what is not UTF-8. */
function decode(base64: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}

/** Objects by key and by the values of index functions, and what changes when they do. */
import { formatKey, keyOf } from '../api/object.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { IndexFunction } from './informer.ts';
import { compareResourceVersions } from './resource-version.ts';

export interface Change<T> {
  key: string;
  object: T | undefined;
  previous: T | undefined;
}

export class IndexedStore<T extends KubernetesObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes: ReadonlyMap<string, { valuesOf: IndexFunction<T>; keys: Map<string, Set<string>> }>;
  #list: readonly T[] | undefined;

  constructor(indexes: Readonly<Record<string, IndexFunction<T>>>) {
    this.#indexes = new Map(Object.entries(indexes).map(([name, valuesOf]) => [name, { valuesOf, keys: new Map<string, Set<string>>() }]));
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return (this.#list ??= [...this.#objects.values()]);
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new TypeError(`there is no index "${name}"`);
    const found: T[] = [];
    for (const key of index.keys.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** The way from nothing to here. */
  snapshot(): Change<T>[] {
    return [...this.#objects].map(([key, object]) => ({ key, object, previous: undefined }));
  }

  /** Makes the store equal to a list. Answers what differed, deletions first. */
  replaceAll(objects: readonly T[]): Change<T>[] {
    const next = new Map(objects.map((object) => [formatKey(keyOf(object)), object]));
    const deletions: Change<T>[] = [];
    for (const [key, previous] of [...this.#objects]) {
      const successor = next.get(key);
      if (successor !== undefined && successor.metadata.uid === previous.metadata.uid) continue;
      this.#remove(key, previous);
      deletions.push({ key, object: undefined, previous });
    }
    const others: Change<T>[] = [];
    for (const [key, object] of next) {
      const previous = this.#objects.get(key);
      if (previous !== undefined && previous.metadata.resourceVersion === object.metadata.resourceVersion) continue;
      this.#put(key, object, previous);
      others.push({ key, object, previous });
    }
    return [...deletions, ...others];
  }

  /** Stores a created or changed object. Answers nothing when the store has this state of it, or a newer one, already. */
  put(object: T): Change<T>[] {
    const key = formatKey(keyOf(object));
    const previous = this.#objects.get(key);
    if (previous === undefined || previous.metadata.uid === object.metadata.uid) {
      if (previous !== undefined && !isNewer(object, previous)) return [];
      this.#put(key, object, previous);
      return [{ key, object, previous }];
    }
    // Deleted and created anew in between.
    this.#remove(key, previous);
    this.#put(key, object, undefined);
    return [
      { key, object: undefined, previous },
      { key, object, previous: undefined },
    ];
  }

  remove(object: T): Change<T>[] {
    const key = formatKey(keyOf(object));
    const previous = this.#objects.get(key);
    if (previous === undefined || isOlder(object, previous)) return [];
    this.#remove(key, previous);
    return [{ key, object: undefined, previous }];
  }

  #put(key: string, object: T, previous: T | undefined): void {
    // Before anything changes: an index function that throws leaves the store whole.
    const values = [...this.#indexes.values()].map(({ valuesOf, keys }) => ({ keys, found: valuesOf(object) }));
    if (previous !== undefined) this.#unindex(key, previous);
    for (const { keys, found } of values) {
      for (const value of found) {
        const known = keys.get(value);
        if (known === undefined) keys.set(value, new Set([key]));
        else known.add(key);
      }
    }
    this.#objects.set(key, object);
    this.#list = undefined;
  }

  #remove(key: string, previous: T): void {
    this.#unindex(key, previous);
    this.#objects.delete(key);
    this.#list = undefined;
  }

  #unindex(key: string, previous: T): void {
    for (const { valuesOf, keys } of this.#indexes.values()) {
      for (const value of valuesOf(previous)) {
        const known = keys.get(value);
        known?.delete(key);
        if (known?.size === 0) keys.delete(value);
      }
    }
  }
}

/** Where versions cannot be compared, whatever differs counts as newer. */
function isNewer(object: KubernetesObject, previous: KubernetesObject): boolean {
  return (compareResourceVersions(object.metadata.resourceVersion ?? '', previous.metadata.resourceVersion ?? '') ?? 1) > 0;
}

function isOlder(object: KubernetesObject, previous: KubernetesObject): boolean {
  return (compareResourceVersions(object.metadata.resourceVersion ?? '', previous.metadata.resourceVersion ?? '') ?? 0) < 0;
}

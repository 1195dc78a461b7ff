/**
 * The three functions of the abandoned metadata-reflection proposal that the X.509 library's dependency injector looks for when it is
 * loaded. Import this before `@peculiar/x509`. Nothing else of ours uses it.
 */
type Key = string | symbol;

const store = new WeakMap<object, Map<Key, unknown>>();

function own(key: Key, target: object): unknown {
  return store.get(target)?.get(key);
}

function inherited(key: Key, target: object): unknown {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (store.get(at)?.has(key)) return own(key, at);
  }
  return undefined;
}

function define(key: Key, value: unknown, target: object): void {
  const entries = store.get(target) ?? new Map<Key, unknown>();
  entries.set(key, value);
  store.set(target, entries);
}

const reflect = Reflect as { getMetadata?: typeof inherited; getOwnMetadata?: typeof own; defineMetadata?: typeof define };
reflect.getMetadata ??= inherited;
reflect.getOwnMetadata ??= own;
reflect.defineMetadata ??= define;

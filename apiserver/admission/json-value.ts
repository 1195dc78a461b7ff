/** What decoded JSON is made of, how it compares and how it is copied. */

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own property, or undefined: names such as `toString` are ordinary keys of objects that users send. */
export function ownValue(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** The value of `key` if it is an object; otherwise undefined. */
export function objectAt(object: JsonObject, key: string): JsonObject | undefined {
  const value = ownValue(object, key);
  return isObject(value) ? value : undefined;
}

/** The value at a path of keys, or undefined when something on the way is no object. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isObject(current)) return undefined;
    current = ownValue(current, key);
  }
  return current;
}

/** Sets an own property, also one named `__proto__`, which assignment would take for the prototype. */
export function setKey(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** A shallow copy without some keys. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  const rest = { ...object };
  for (const key of keys) Reflect.deleteProperty(rest, key);
  return rest;
}

/** A copy that shares nothing with `value`, without keys whose value is undefined. Several times as quick as `structuredClone` on plain JSON. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => cloneJson(item)) as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) if (value[key] !== undefined) setKey(copy, key, cloneJson(value[key]));
  return copy as T;
}

/** Equal as JSON: the order of keys does not matter, and a key whose value is undefined is absent. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalJson(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  let shared = 0;
  for (const key of Object.keys(a)) {
    if (a[key] === undefined) continue;
    if (!Object.hasOwn(b, key) || !equalJson(a[key], b[key])) return false;
    shared += 1;
  }
  return Object.keys(b).every((key) => b[key] === undefined || (shared -= 1) >= 0);
}

/** A text that two JSON values share exactly when they are equal. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

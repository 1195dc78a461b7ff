/** Paths into objects as the access configuration writes them: `spec.owner`, or with lists on the way, `spec.env[].name`. Pure. */
import { isObject, ownValue } from '../../admission/json-value.ts';

/** Keys from the outside in; `list` where what the key holds is a list that is gone into. */
export type FieldPath = readonly { readonly key: string; readonly list: boolean }[];

/** The texts at one path are at most so many: an object cannot make this server keep more of it than its own size is worth. */
const mostTexts = 1024;

/** `text` was checked against the schema of the configuration. */
export function parseFieldPath(text: string): FieldPath {
  return text.split('.').map((part) => (part.endsWith('[]') ? { key: part.slice(0, -2), list: true } : { key: part, list: false }));
}

/** Every non-empty text at the path. */
export function textsAt(object: unknown, path: FieldPath): string[] {
  const found: string[] = [];
  collect(object, path, 0, found);
  return found;
}

function collect(value: unknown, path: FieldPath, depth: number, found: string[]): void {
  const step = path[depth];
  if (step === undefined) {
    if (typeof value === 'string' && value !== '' && found.length < mostTexts) found.push(value);
    return;
  }
  if (!isObject(value)) return;
  const next = ownValue(value, step.key);
  if (!step.list) {
    collect(next, path, depth + 1, found);
    return;
  }
  if (Array.isArray(next)) for (const item of next as unknown[]) collect(item, path, depth + 1, found);
}

/** The value at a path without lists. */
export function valueAtPath(object: unknown, path: FieldPath): unknown {
  let value = object;
  for (const { key } of path) {
    if (!isObject(value)) return undefined;
    value = ownValue(value, key);
  }
  return value;
}

/**
 * What a mirrored object is made of: values that stand for themselves, paths into the source, and a few choices between them. Pure.
 *
 * A text that begins with a dot is a path (JSONPath as in printer columns). An object with one of these keys is a choice:
 * `{ $match: .a, $to: { x: …, '*': … }, $otherwise: … }` by the value at a path, `*` for any other that is there;
 * `{ $first: […] }` the first that is there; `{ $each: .list, $make: … }` one for each member of a list, whose paths begin at the member.
 */
import { compileJsonPath, JsonPathError, type JsonPath } from '../../admission/json-path.ts';
import { isObject, type JsonObject } from '../../admission/json-value.ts';
import type { JsonSchema } from '../../admission/structural-schema.ts';

export type Template =
  | { kind: 'literal'; value: string | number | boolean }
  | { kind: 'path'; read: JsonPath }
  | { kind: 'object'; fields: Fields }
  | { kind: 'list'; items: readonly Template[] }
  | { kind: 'match'; read: JsonPath; to: ReadonlyMap<string, Template>; otherwise: Template | undefined }
  | { kind: 'first'; of: readonly Template[] }
  | { kind: 'each'; read: JsonPath; make: Template };

export type Fields = readonly (readonly [string, Template])[];

/** What becomes of a part that the source lacks: the whole object is hidden, or the part is left out. */
export type Missing = 'Hide' | 'Omit';

/** Throws, with the place in the file of what is wrong. */
export type Refuse = (at: string, what: string) => never;

/** Deeper than any object that is worth mirroring. */
const deepest = 16;
const anyValue = '*';

export function parseTemplate(value: unknown, at: string, refuse: Refuse, depth = 1): Template {
  if (depth > deepest) return refuse(at, `is deeper than ${deepest} levels`);
  const parse = (part: unknown, name: string): Template => parseTemplate(part, name, refuse, depth + 1);
  if (Array.isArray(value)) return { kind: 'list', items: value.map((item, index) => parse(item, `${at}[${index}]`)) };
  if (isObject(value)) {
    const isChoice = Object.keys(value).some((name) => name.startsWith('$'));
    return isChoice
      ? parseChoice(value, at, refuse, parse)
      : { kind: 'object', fields: Object.entries(value).map(([name, each]) => [name, parse(each, `${at}.${name}`)]) };
  }
  if (typeof value === 'number' || typeof value === 'boolean') return { kind: 'literal', value };
  if (typeof value !== 'string') return refuse(at, 'must be a value, or a path that begins with a dot');
  return value.startsWith('.') ? { kind: 'path', read: parsePath(value, at, refuse) } : { kind: 'literal', value };
}

function parseChoice(value: JsonObject, at: string, refuse: Refuse, parse: (part: unknown, name: string) => Template): Template {
  const { $match, $to, $otherwise, $first, $each, $make, ...others } = value;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return refuse(`${at}.${unknown}`, 'does not go with a choice');
  if ($match !== undefined) {
    if (!isObject($to)) return refuse(`${at}.$to`, 'must be an object');
    return {
      kind: 'match',
      read: parsePath($match, `${at}.$match`, refuse),
      to: new Map(Object.entries($to).map(([name, each]) => [name, parse(each, `${at}.$to.${name}`)])),
      otherwise: $otherwise === undefined ? undefined : parse($otherwise, `${at}.$otherwise`),
    };
  }
  if ($first !== undefined) {
    if (!Array.isArray($first)) return refuse(`${at}.$first`, 'must be a list');
    return { kind: 'first', of: $first.map((each, index) => parse(each, `${at}.$first[${index}]`)) };
  }
  return { kind: 'each', read: parsePath($each, `${at}.$each`, refuse), make: parse($make, `${at}.$make`) };
}

export function parsePath(text: unknown, at: string, refuse: Refuse): JsonPath {
  if (typeof text !== 'string' || !text.startsWith('.')) return refuse(at, 'must be a path that begins with a dot');
  try {
    return compileJsonPath(text);
  } catch (error) {
    if (error instanceof JsonPathError) return refuse(at, error.message);
    throw error;
  }
}

/** Undefined when the source lacks it. */
export function fill(template: Template, source: unknown, missing: Missing): unknown {
  switch (template.kind) {
    case 'literal':
      return template.value;
    case 'path':
      return template.read(source)[0];
    case 'object':
      return fillFields(template.fields, source, missing);
    case 'list': {
      const items = template.items.map((item) => fill(item, source, missing));
      return missing === 'Hide' && items.includes(undefined) ? undefined : items.filter(isThere);
    }
    case 'match': {
      const taken = branchOf(template, template.read(source)[0]);
      return taken && fill(taken, source, missing);
    }
    case 'first':
      return template.of.map((each) => fill(each, source, missing)).find(isThere);
    case 'each': {
      const [members] = template.read(source);
      return Array.isArray(members) ? members.map((member) => fill(template.make, member, missing)).filter(isThere) : undefined;
    }
  }
}

function isThere(value: unknown): boolean {
  return value !== undefined;
}

function branchOf({ to, otherwise }: Template & { kind: 'match' }, found: unknown): Template | undefined {
  if (found === undefined) return otherwise;
  const text = typeof found === 'string' ? found : JSON.stringify(found);
  return to.get(text) ?? to.get(anyValue) ?? otherwise;
}

export function fillFields(fields: Fields, source: unknown, missing: Missing): JsonObject | undefined {
  const filled = fields.map(([name, template]) => [name, fill(template, source, missing)] as const);
  const present = filled.filter(([, value]) => value !== undefined);
  return missing === 'Hide' && present.length < filled.length ? undefined : Object.fromEntries(present);
}

export function schemaOf(template: Template): JsonSchema {
  switch (template.kind) {
    case 'literal':
      return { type: typeof template.value === 'number' ? 'integer' : typeof template.value };
    case 'object':
      return { type: 'object', properties: Object.fromEntries(template.fields.map(([name, each]) => [name, schemaOf(each)])) };
    case 'list': {
      const [first] = template.items;
      return { type: 'array', items: first === undefined ? { type: 'object' } : schemaOf(first) };
    }
    case 'each':
      return { type: 'array', items: schemaOf(template.make) };
    case 'path':
    case 'match':
    case 'first':
      return { 'x-kubernetes-preserve-unknown-fields': true };
  }
}

/**
 * JSONPath as CRDs use it in printer columns and selectable fields, without braces: `.a.b`, `['x.y']`, `.a\.b`, `[0]`, `[-1]`, `[1:3]`, `[*]`,
 * `..name`, `[?(@.type=="Ready")]`. Follows k8s.io/client-go `util/jsonpath`; what is missing gives nothing.
 */
import { isObject, ownValue } from './json-value.ts';

/** All values that a path finds, in order. */
export type JsonPath = (object: unknown) => unknown[];

export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

/** From the values found so far to the next. */
type Step = (values: readonly unknown[]) => unknown[];

/** Most values that `..` visits. */
const maxVisited = 100_000;
const maxPathLength = 4096;

function fieldStep(names: readonly string[]): Step {
  return (values) =>
    values.flatMap((value) => {
      if (!isObject(value)) return [];
      return names.filter((name) => Object.hasOwn(value, name)).map((name) => ownValue(value, name));
    });
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function members(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

const wildcardStep: Step = (values) => values.flatMap(members);

const descentStep: Step = (values) => {
  const found = [...values];
  for (let index = 0; index < found.length && found.length < maxVisited; index += 1) found.push(...members(found[index]));
  return found;
};

function indexStep(indices: readonly number[]): Step {
  return (values) =>
    values.flatMap((value) => {
      const list = itemsOf(value);
      return indices.filter((index) => index < list.length && index >= -list.length).map((index) => list.at(index));
    });
}

function sliceStep(start: string, end: string, step: string): Step {
  const [from, to, by] = [start === '' ? 0 : Number(start), end === '' ? undefined : Number(end), step === '' ? 1 : Number(step)];
  if (by < 1) throw new JsonPathError('the step of a slice must be at least 1');
  return (values) =>
    values.flatMap((value) =>
      itemsOf(value)
        .slice(from, to)
        .filter((_, index) => index % by === 0),
    );
}

type Operand = (item: unknown) => unknown;

function literal(text: string): unknown {
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')$/s.exec(text);
  if (quoted !== null) return (quoted[1] ?? quoted[2] ?? '').replaceAll(/\\(.)/gs, '$1');
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new JsonPathError(`unrecognized value ${text} in a filter`);
}

function operand(text: string): Operand {
  const trimmed = text.trim();
  if (trimmed.startsWith('@')) {
    const path = compileJsonPath(trimmed.slice(1));
    return (item) => path(item)[0];
  }
  const value = literal(trimmed);
  return () => value;
}

const comparisons: Readonly<Record<string, (a: never, b: never) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

function filterStep(expression: string): Step {
  const match = /^((?:[^<>=!"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)(==|!=|<=|>=|<|>)(.*)$/s.exec(expression);
  if (match === null) {
    const exists = operand(expression);
    return (values) => values.flatMap((value) => members(value).filter((item) => exists(item) !== undefined));
  }
  const [, leftText = '', symbol = '', rightText = ''] = match;
  const [left, right, compare] = [operand(leftText), operand(rightText), comparisons[symbol]];
  if (compare === undefined) throw new JsonPathError(`unrecognized operator ${symbol}`);
  const holds = (item: unknown): boolean => {
    const [a, b] = [left(item), right(item)];
    return a !== undefined && b !== undefined && typeof a === typeof b && compare(a as never, b as never);
  };
  return (values) => values.flatMap((value) => members(value).filter(holds));
}

function bracketStep(content: string): Step {
  const text = content.trim();
  if (text === '*') return wildcardStep;
  const filter = /^\?\((.*)\)$/s.exec(text);
  if (filter !== null) return filterStep(filter[1] ?? '');
  const slice = /^(-?\d*):(-?\d*)(?::(-?\d*))?$/.exec(text);
  if (slice !== null) return sliceStep(slice[1] ?? '', slice[2] ?? '', slice[3] ?? '');
  const parts = text.match(/\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+)\s*/gs)?.map((part) => part.trim()) ?? [];
  if (parts.length > 0 && parts.every((part) => /^-?\d+$/.test(part))) return indexStep(parts.map(Number));
  if (parts.length > 0 && parts.every((part) => /^(['"]).*\1$/s.test(part))) return fieldStep(parts.map((part) => String(literal(part))));
  throw new JsonPathError(`invalid array index ${text}`);
}

/** Where the bracket that opens at `start` closes; quotes hide brackets. */
function closingBracket(text: string, start: number): number {
  let depth = 0;
  const part = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[[\]]/gs;
  part.lastIndex = start;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    if (match[0] === '[') depth += 1;
    else if (match[0] === ']') depth -= 1;
    if (depth === 0) return match.index;
  }
  throw new JsonPathError('unterminated array');
}

function readSteps(text: string): Step[] {
  const steps: Step[] = [];
  const field = /(\.\.?)((?:[^.[\]\\\s{}]|\\.)*)/sy;
  let position = 0;
  while (position < text.length) {
    if (text[position] === '[') {
      const end = closingBracket(text, position);
      steps.push(bracketStep(text.slice(position + 1, end)));
      position = end + 1;
      continue;
    }
    field.lastIndex = position;
    const match = field.exec(text);
    if (match === null) throw new JsonPathError(`unrecognized character in path: ${JSON.stringify(text.slice(position, position + 1))}`);
    const [whole, dots = '', name = ''] = match;
    if (dots === '..') steps.push(descentStep);
    if (name === '*') steps.push(wildcardStep);
    else if (name !== '') steps.push(fieldStep([name.replaceAll(/\\(.)/gs, '$1')]));
    position += whole.length;
  }
  return steps;
}

/**
 * Compiles a path. The empty path, and `.`, give the object itself.
 * @throws {JsonPathError}
 */
export function compileJsonPath(text: string): JsonPath {
  if (text.length > maxPathLength) throw new JsonPathError(`a path must be at most ${maxPathLength} characters`);
  const steps = readSteps(text.replace(/^\$/, ''));
  return (object) => steps.reduce<unknown[]>((values, step) => step(values), [object]);
}

/** The names of a path that has only plain steps (`.spec.a`, `['x']`), as selectable fields need it; undefined for every other. */
export function simplePath(text: string): string[] | undefined {
  const names: string[] = [];
  const step = /\.([A-Za-z_][A-Za-z0-9_-]*)|\['((?:[^'\\]|\\.)+)'\]/sy;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    const name = match?.[1] ?? match?.[2]?.replaceAll(/\\(.)/gs, '$1');
    if (name === undefined) return undefined;
    names.push(name);
  }
  return names.length === 0 ? undefined : names;
}

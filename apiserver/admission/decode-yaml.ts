/** Decodes YAML bodies to what the same object would be in JSON: one document, string keys, bounded aliases. */
import { isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Document } from 'yaml';
import { formatPath } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';
import { isObject } from './json-value.ts';
import { JsonSyntaxError, maxJsonDepth } from './scan-json.ts';
import type { DecodedBody, DecodeOptions } from './strict-json.ts';

/** Most nodes that aliases may stand for, all together: a billion laughs end here. */
const maxAliasCount = 100;
const decoder = new TextDecoder('utf-8');

function syntaxError(line: number | undefined, message: string): JsonSyntaxError {
  const firstLine = message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? message;
  return new JsonSyntaxError(line === undefined ? `yaml: ${firstLine}` : `yaml: line ${line}: ${firstLine}`);
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

/** The path of a node that `visit` gives its ancestors of. */
function pathOf(ancestors: readonly unknown[]): PathSegment[] {
  return ancestors.flatMap((node, index): PathSegment[] => {
    const parent = ancestors[index - 1];
    if (isPair(node)) return [keyText(node.key)];
    return isSeq(parent) ? [parent.items.indexOf(node)] : [];
  });
}

/** Paths of keys that stand twice in a mapping. */
function duplicatesOf(document: Document.Parsed): string[] {
  const duplicates: string[] = [];
  visit(document, {
    Map(_key, map, ancestors) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const key = keyText(pair.key);
        if (seen.has(key)) duplicates.push(formatPath([...pathOf([...ancestors, map]), key]));
        seen.add(key);
      }
    },
  });
  return duplicates;
}

/** What JSON cannot say becomes an error: dates and binary stay text, infinities and other keys than strings do not exist. */
function checkValue(value: unknown, depth: number): void {
  if (depth > maxJsonDepth) throw new JsonSyntaxError('exceeded max depth');
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new JsonSyntaxError(`error converting YAML to JSON: ${value} is no JSON number`);
  if (typeof value === 'bigint' || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw new JsonSyntaxError(
      `the integer ${String(value)} cannot be kept exactly: integers must be from -9007199254740991 to 9007199254740991`,
    );
  }
  if (Array.isArray(value)) for (const item of value) checkValue(item, depth + 1);
  else if (isObject(value)) for (const member of Object.values(value)) checkValue(member, depth + 1);
}

/** The library recurses: what is too deep for the stack is too deep. */
function withinStack<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw new JsonSyntaxError('exceeded max depth', { cause: error });
    if (error instanceof JsonSyntaxError) throw error;
    throw syntaxError(undefined, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Decodes one YAML document (1.2, core schema; JSON is YAML too).
 * @throws {JsonSyntaxError} that says the line.
 */
export function decodeYaml(body: string | Uint8Array, options: DecodeOptions = {}): DecodedBody {
  const text = typeof body === 'string' ? body : decoder.decode(body);
  const lineCounter = new LineCounter();
  // Duplicate keys are reported beside the value; the library would compare each key with every other.
  const document = withinStack(() => parseDocument(text, { lineCounter, schema: 'core', logLevel: 'error', uniqueKeys: false }));
  const [problem] = document.errors;
  if (problem?.code === 'RESOURCE_EXHAUSTION') throw new JsonSyntaxError('exceeded max depth');
  if (problem !== undefined) throw syntaxError(lineCounter.linePos(problem.pos[0]).line, problem.message);
  return withinStack(() => {
    const value: unknown = document.toJS({ maxAliasCount });
    checkValue(value, 0);
    const duplicateFields = options.findDuplicates === true ? duplicatesOf(document) : [];
    // Through JSON: aliases become values of their own, and what is left is what JSON can say.
    return { value: JSON.parse(JSON.stringify(value)) as unknown, duplicateFields };
  });
}

/** Decodes JSON bodies as Kubernetes does: broken ones with Go's text, duplicate keys by path, bounded depth. */
import { isObject, setKey } from './json-value.ts';
import { JsonSyntaxError, maxJsonDepth, scanJson } from './scan-json.ts';

/** A decoded body. */
export interface DecodedBody {
  readonly value: unknown;
  /** Paths of keys that stood twice (`spec.size`); the last one counts. Empty unless they were asked for. */
  readonly duplicateFields: readonly string[];
}

export interface DecodeOptions {
  /** For field validation `Strict` and `Warn`; costs a second pass. Default false. */
  findDuplicates?: boolean;
}

const decoder = new TextDecoder('utf-8');

/** Whether objects and arrays stand within each other deeper than is allowed; brackets in strings may make it say yes too often. */
function mayBeTooDeep(text: string): boolean {
  if (text.length <= 2 * maxJsonDepth) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // 0x5b is [, 0x7b is {; their closing counterparts are two further.
    if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > maxJsonDepth) return true;
    } else if ((code === 0x5d || code === 0x7d) && depth > 0) {
      depth -= 1;
    }
  }
  return false;
}

/** Strings with half a surrogate pair get U+FFFD instead, as in Go. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) setKey(copy, key.toWellFormed(), wellFormed(member));
  return copy;
}

/**
 * Decodes one JSON text. Integers that a double cannot hold are refused; `__proto__` is a key like any other.
 * @throws {JsonSyntaxError} whose message is Go's (`invalid character 'b' looking for beginning of object key string`).
 */
export function decodeStrictJson(body: string | Uint8Array, options: DecodeOptions = {}): DecodedBody {
  const text = typeof body === 'string' ? body : decoder.decode(body);
  const needsScan = options.findDuplicates === true || mayBeTooDeep(text) || /\d{16}/.test(text);
  const duplicateFields = needsScan ? scanJson(text) : [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    scanJson(text);
    // The scanner and the parser agree on what JSON is; should they ever not, the parser's word is final.
    throw new JsonSyntaxError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (/\\u[dD][89a-fA-F]/.test(text)) value = wellFormed(value);
  return { value, duplicateFields: options.findDuplicates === true ? duplicateFields : [] };
}

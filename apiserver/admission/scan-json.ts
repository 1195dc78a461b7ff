/**
 * Reads JSON for what `JSON.parse` does not tell: Go's error text, keys that stand twice, how deep it goes, integers that a double cannot
 * hold. Builds no values.
 */
import { formatPath } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';

/** JSON that cannot be read; the message is Go's `encoding/json` text. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** Arrays and objects within each other; Go stops at 10,000, we before a recursive walk of the value could run out of stack. */
export const maxJsonDepth = 1000;
/** Most duplicates that are reported. */
const maxDuplicates = 100;

const whitespace = /[ \t\r\n]*/y;
const plainCharacters = /[^"\\\u0000-\u001f]*/y;
const integerPart = /-?(?:0|[1-9]\d*)/y;
const digits = /\d+/y;

class JsonScanner {
  readonly duplicates: string[] = [];
  readonly #text: string;
  readonly #path: PathSegment[] = [];
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): void {
    this.#value('looking for beginning of value');
    this.#skipWhitespace();
    if (this.#position < this.#text.length) this.#fail('after top-level value');
  }

  #fail(context: string): never {
    const character = this.#text.codePointAt(this.#position);
    if (character === undefined) throw new JsonSyntaxError('unexpected end of JSON input');
    const shown = String.fromCodePoint(character);
    const quoted = shown === "'" ? "'\\''" : `'${shown === '"' ? '"' : JSON.stringify(shown).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${quoted} ${context}`);
  }

  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#position;
    const found = expression.exec(this.#text)?.[0];
    if (found !== undefined) this.#position += found.length;
    return found;
  }

  #skipWhitespace(): void {
    this.#match(whitespace);
  }

  #peek(): string {
    return this.#text.charAt(this.#position);
  }

  #expect(character: string, context: string): void {
    if (this.#peek() !== character) this.#fail(context);
    this.#position += 1;
  }

  #value(context: string): void {
    this.#skipWhitespace();
    const next = this.#peek();
    if (next === '{') this.#object();
    else if (next === '[') this.#array();
    else if (next === '"') this.#string();
    else if (next === '-' || (next >= '0' && next <= '9')) this.#number();
    else if (next === 't') this.#word('true');
    else if (next === 'f') this.#word('false');
    else if (next === 'n') this.#word('null');
    else this.#fail(context);
  }

  #enter(): void {
    this.#position += 1;
    if (this.#path.length >= maxJsonDepth) throw new JsonSyntaxError('exceeded max depth');
    this.#skipWhitespace();
  }

  #object(): void {
    this.#enter();
    const keys = new Set<string>();
    if (this.#peek() === '}') {
      this.#position += 1;
      return;
    }
    for (;;) {
      this.#skipWhitespace();
      if (this.#peek() !== '"') this.#fail('looking for beginning of object key string');
      const key = this.#string();
      this.#path.push(key);
      if (keys.has(key) && this.duplicates.length < maxDuplicates) this.duplicates.push(formatPath(this.#path));
      keys.add(key);
      this.#skipWhitespace();
      this.#expect(':', 'after object key');
      this.#value('looking for beginning of value');
      this.#path.pop();
      this.#skipWhitespace();
      if (this.#peek() === '}') break;
      this.#expect(',', 'after object key:value pair');
    }
    this.#position += 1;
  }

  #array(): void {
    this.#enter();
    if (this.#peek() === ']') {
      this.#position += 1;
      return;
    }
    for (let index = 0; ; index += 1) {
      this.#path.push(index);
      this.#value('looking for beginning of value');
      this.#path.pop();
      this.#skipWhitespace();
      if (this.#peek() === ']') break;
      this.#expect(',', 'after array element');
    }
    this.#position += 1;
  }

  #string(): string {
    const start = this.#position;
    this.#position += 1;
    for (;;) {
      this.#match(plainCharacters);
      const next = this.#peek();
      if (next === '"') break;
      if (next !== '\\') this.#fail('in string literal');
      this.#escape();
    }
    this.#position += 1;
    return JSON.parse(this.#text.slice(start, this.#position)) as string;
  }

  #escape(): void {
    this.#position += 1;
    const kind = this.#peek();
    if (kind === '' || !'"\\/bfnrtu'.includes(kind)) this.#fail('in string escape code');
    this.#position += 1;
    if (kind !== 'u') return;
    for (let count = 0; count < 4; count += 1) {
      if (!/^[0-9a-fA-F]$/.test(this.#peek())) this.#fail('in \\u hexadecimal character escape');
      this.#position += 1;
    }
  }

  #number(): void {
    const whole = this.#match(integerPart);
    if (whole === undefined) {
      this.#position += 1;
      this.#fail('in numeric literal');
    }
    let integer = true;
    if (this.#peek() === '.') {
      integer = false;
      this.#position += 1;
      if (this.#match(digits) === undefined) this.#fail('after decimal point in numeric literal');
    }
    if (this.#peek() === 'e' || this.#peek() === 'E') {
      integer = false;
      this.#position += 1;
      if (this.#peek() === '+' || this.#peek() === '-') this.#position += 1;
      if (this.#match(digits) === undefined) this.#fail('in exponent of numeric literal');
    }
    if (integer && !Number.isSafeInteger(Number(whole))) {
      const place = this.#path.length === 0 ? '' : ` at ${formatPath(this.#path)}`;
      throw new JsonSyntaxError(
        `the integer ${whole.slice(0, 40)}${place} cannot be kept exactly: integers must be from -9007199254740991 to 9007199254740991`,
      );
    }
  }

  #word(word: string): void {
    for (const [index, letter] of Array.from(word).entries()) {
      if (this.#peek() !== letter) this.#fail(`in literal ${word} (expecting '${letter}')`);
      this.#position += 1;
      if (index === word.length - 1) return;
    }
  }
}

/**
 * The paths of keys that stand twice in an object, in order.
 * @throws {JsonSyntaxError}
 */
export function scanJson(text: string): string[] {
  const scanner = new JsonScanner(text);
  scanner.scan();
  return scanner.duplicates;
}

/**
 * CEL's string extensions as cel-go has them: indices count code points, case is ASCII only, and `matches` is RE2. Where the engine has a
 * function of the same name that does otherwise, ours is registered under a prefixed name, which `prepare-expression.ts` puts in its place.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { charge } from './cost.ts';
import { formatText } from './format-text.ts';
import { findAll, findFirst, matches } from './regex.ts';

/** Stands before the names of our versions of the engine's functions. */
export const replacementPrefix = 'kubernetes_';

/** Functions of the engine that are replaced by ours. */
export const replacedFunctions: ReadonlySet<string> = new Set([
  'matches',
  'indexOf',
  'lastIndexOf',
  'substring',
  'split',
  'lowerAscii',
  'upperAscii',
]);

/** Longest string that a function makes, in characters. */
const maxResultLength = 1 << 20;

function outOfRange(index: bigint): never {
  throw new RangeError(`index out of range: ${index}`);
}

function indexOf(text: string, part: string, from = 0n): bigint {
  const points = Array.from(text);
  if (from < 0n || from > BigInt(points.length)) outOfRange(from);
  const skipped = points.slice(0, Number(from)).join('').length;
  const found = text.indexOf(part, skipped);
  return found === -1 ? -1n : BigInt(Array.from(text.slice(0, found)).length);
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const points = Array.from(text);
  if (from !== undefined && (from < 0n || from > BigInt(points.length))) outOfRange(from);
  const start = from === undefined ? Infinity : points.slice(0, Number(from)).join('').length;
  const found = text.lastIndexOf(part, start);
  return found === -1 ? -1n : BigInt(Array.from(text.slice(0, found)).length);
}

function substring(text: string, start: bigint, end?: bigint): string {
  const points = Array.from(text);
  const last = end ?? BigInt(points.length);
  if (start < 0n || start > BigInt(points.length)) outOfRange(start);
  if (last < 0n || last > BigInt(points.length)) outOfRange(last);
  if (start > last) throw new RangeError(`invalid substring range. start: ${start}, end: ${last}`);
  return points.slice(Number(start), Number(last)).join('');
}

function charAt(text: string, index: bigint): string {
  const points = Array.from(text);
  if (index < 0n || index > BigInt(points.length)) outOfRange(index);
  return points[Number(index)] ?? '';
}

function split(text: string, separator: string, limit = -1n): string[] {
  if (limit === 0n) return [];
  const parts = separator === '' ? Array.from(text) : text.split(separator);
  charge(parts.length);
  if (limit < 0n || BigInt(parts.length) <= limit) return parts;
  const kept = Number(limit) - 1;
  return [...parts.slice(0, kept), parts.slice(kept).join(separator)];
}

function replace(text: string, from: string, to: string, limit = -1n): string {
  const parts = split(text, from, limit < 0n ? -1n : limit + 1n);
  const length = text.length + parts.length * to.length;
  charge(length >> 4);
  if (length > maxResultLength) throw new RangeError(`the result of replace() is longer than ${maxResultLength} characters`);
  return parts.join(to);
}

function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function upperAscii(text: string): string {
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase());
}

export function registerStrings(environment: Environment): void {
  const sync = { async: false };
  const ours = (signature: string): string => `string.${replacementPrefix}${signature}`;
  environment
    .registerFunction(ours('indexOf(string): int'), (text: string, part: string) => indexOf(text, part), sync)
    .registerFunction(ours('indexOf(string, int): int'), indexOf, sync)
    .registerFunction(ours('lastIndexOf(string): int'), (text: string, part: string) => lastIndexOf(text, part), sync)
    .registerFunction(ours('lastIndexOf(string, int): int'), lastIndexOf, sync)
    .registerFunction(ours('substring(int): string'), (text: string, start: bigint) => substring(text, start), sync)
    .registerFunction(ours('substring(int, int): string'), substring, sync)
    .registerFunction(ours('split(string): list<string>'), (text: string, separator: string) => split(text, separator), sync)
    .registerFunction(ours('split(string, int): list<string>'), split, sync)
    .registerFunction(ours('lowerAscii(): string'), lowerAscii, sync)
    .registerFunction(ours('upperAscii(): string'), upperAscii, sync)
    .registerFunction(ours('matches(string): bool'), matches, sync)
    .registerFunction(`${replacementPrefix}matches(string, string): bool`, matches, sync)
    .registerFunction('string.charAt(int): string', charAt, sync)
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) => replace(text, from, to), sync)
    .registerFunction('string.replace(string, string, int): string', replace, sync)
    .registerFunction('string.reverse(): string', (text: string) => Array.from(text).reverse().join(''), sync)
    .registerFunction('string.format(list<dyn>): string', formatText, sync)
    .registerFunction('string.find(string): string', findFirst, sync)
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern), sync)
    .registerFunction('string.findAll(string, int): list<string>', findAll, sync);
}

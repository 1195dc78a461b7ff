/** RE2 expressions of CEL rules, compiled once. */
import { RE2JS } from 're2js';
import { charge } from './cost.ts';

const maxCached = 256;
/** Least recently compiled first. */
const cache = new Map<string, RE2JS>();

function compile(pattern: string): RE2JS {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
  charge(pattern.length * 20);
  const compiled = RE2JS.compile(pattern);
  const oldest = cache.keys().next();
  if (cache.size >= maxCached && oldest.done !== true) cache.delete(oldest.value);
  cache.set(pattern, compiled);
  return compiled;
}

/** RE2 looks at each character once for each state that the pattern can be in. */
function chargeMatch(text: string, pattern: string): void {
  charge((text.length + 1) * (1 + (pattern.length >> 3)));
}

export function matches(text: string, pattern: string): boolean {
  chargeMatch(text, pattern);
  return compile(pattern).test(text);
}

/** The first match, or the empty text. */
export function findFirst(text: string, pattern: string): string {
  return findAll(text, pattern, 1n)[0] ?? '';
}

/** Matches in order, at most `limit` when that is not negative. */
export function findAll(text: string, pattern: string, limit = -1n): string[] {
  const found: string[] = [];
  const matcher = compile(pattern).matcher(text);
  chargeMatch(text, pattern);
  while ((limit < 0n || BigInt(found.length) < limit) && matcher.find()) {
    charge(1);
    found.push(matcher.group() ?? '');
  }
  return found;
}

/** Names of properties as CEL identifiers, escaped as in Kubernetes: `a-b` is `a__dash__b`, `for` is `__for__`. */

const reservedWords = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);
const replacements: readonly (readonly [string, string])[] = [
  ['__', '__underscores__'],
  ['.', '__dot__'],
  ['-', '__dash__'],
  ['/', '__slash__'],
];
/** Names that mean something to JavaScript's objects; they cannot be reached from CEL. */
const unreachable = new Set(['constructor', '__proto__', 'prototype']);

/** The identifier, or undefined where the name cannot be one. */
export function escapeName(name: string): string | undefined {
  if (unreachable.has(name)) return undefined;
  if (reservedWords.has(name)) return `__${name}__`;
  const parts = name.split(/(__|[.\-/])/);
  const escaped = parts.map((part) => replacements.find(([from]) => from === part)?.[1] ?? part).join('');
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

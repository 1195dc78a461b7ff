/** Names of instances in the pool, unique without asking anyone; docs/states.md says why. */
import { createHash } from 'node:crypto';

/** Linux and DNS labels allow 64 and 63. */
const maxLength = 63;
const digestLength = 10;

/**
 * The lowest number that is free on the provider and that this pair of names may use. `toto` on `alans-desktop` and `toto-alans` on `desktop`
 * join to the same text; of its *h* hyphens each pair is cut at another one, *i*, and keeps to numbers with `n mod h = i`.
 */
export function freeHostnameNumber(namespace: string, providerName: string, taken: ReadonlySet<number>): number {
  const step = hyphensIn(`${namespace}-${providerName}`);
  let number = hyphensIn(namespace);
  while (taken.has(number)) number += step;
  return number;
}

/** `<namespace>-<provider>-<n>`; a long one is cut, and then carries a digest of both names. */
export function formatHostname(namespace: string, providerName: string, number: number): string {
  const joined = `${namespace}-${providerName}`;
  const end = `-${number}`;
  if (joined.length + end.length <= maxLength) return joined + end;
  const digest = createHash('sha256').update(`${namespace}/${providerName}`).digest('hex').slice(0, digestLength);
  const kept = joined.slice(0, maxLength - end.length - digestLength - 1).replace(/-+$/, '');
  return `${kept}-${digest}${end}`;
}

function hyphensIn(text: string): number {
  return text.split('-').length - 1;
}

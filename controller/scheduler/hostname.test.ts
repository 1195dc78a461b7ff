import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatHostname, freeHostnameNumber } from './hostname.ts';

/** Few words, joined, and cut in two somewhere: most pairs have others that join to the same text. */
const pair = fc
  .array(fc.constantFrom('a', 'b', '0'), { minLength: 2, maxLength: 5 })
  .chain((words) =>
    fc.integer({ min: 1, max: words.length - 1 }).map((cut) => [words.slice(0, cut).join('-'), words.slice(cut).join('-')] as const),
  );

describe('hostnames', () => {
  it('never give two pairs of namespace and provider the same name, whatever is taken on each', () => {
    fc.assert(
      fc.property(fc.array(pair, { minLength: 2, maxLength: 40 }), (pairs) => {
        const taken = new Map<string, Set<number>>();
        const names = new Set<string>();
        for (const [namespace, provider] of pairs) {
          const numbers = taken.get(provider) ?? new Set<number>();
          taken.set(provider, numbers);
          const number = freeHostnameNumber(namespace, provider, numbers);
          numbers.add(number);
          const hostname = formatHostname(namespace, provider, number);
          assert.ok(!names.has(hostname), hostname);
          names.add(hostname);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('tell toto on alans-desktop from toto-alans on desktop', () => {
    assert.equal(formatHostname('toto', 'alans-desktop', freeHostnameNumber('toto', 'alans-desktop', new Set())), 'toto-alans-desktop-0');
    assert.equal(formatHostname('toto-alans', 'desktop', freeHostnameNumber('toto-alans', 'desktop', new Set())), 'toto-alans-desktop-1');
  });

  it('use every number, the lowest free first, where only one hyphen joins', () => {
    assert.equal(freeHostnameNumber('toto', 'desktop', new Set([0, 1, 3])), 2);
  });

  it('stay within 63 characters, and apart', () => {
    const long = 'a'.repeat(63);
    const names = [formatHostname(long, `${long.slice(1)}b`, 1023), formatHostname(long, `${long.slice(1)}c`, 1023)];
    for (const name of names) assert.match(name, /^[a-z0-9-]{1,63}$/);
    assert.notEqual(names[0], names[1]);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { matchesImage } from './image-pattern.ts';

describe('matchesImage()', () => {
  const matching: [string, string][] = [
    ['debian', 'docker.io/library/debian:12'],
    ['docker.io/library/debian', 'debian'],
    ['debian:12*', 'debian:12-slim'],
    ['ghcr.io/acme/*', 'ghcr.io/acme/tool:v1'],
    ['ghcr.io/**', 'ghcr.io/acme/deep/tool'],
    ['**', 'anything.example/a/b:c'],
    ['*', 'debian'],
    ['**/tool', 'ghcr.io/acme/tool'],
    ['localhost:5000/**', 'localhost:5000/tool'],
    ['debian@sha256:ab', 'debian@sha256:ab'],
    ['debian', 'debian@sha256:ab'],
    ['debian', 'index.docker.io/library/debian:12'],
    ['debian:latest', 'debian'],
  ];
  for (const [pattern, image] of matching) it(`takes ${image} for ${pattern}`, () => assert.ok(matchesImage(pattern, image)));

  const different: [string, string][] = [
    ['debian', 'acme/debian'],
    ['debian', 'debian.evil.example/debian'],
    ['debian:12', 'debian:11'],
    ['debian:12', 'debian'],
    // The tag beside a digest says nothing about what runs.
    ['debian:12', 'debian:12@sha256:ab'],
    ['debian@sha256:ab', 'debian@sha256:cd'],
    ['ghcr.io/acme/*', 'ghcr.io/acme/deep/tool'],
    ['ghcr.io/acme/*', 'ghcr.io/acmes/tool'],
    ['*', 'acme/tool'],
    ['*', 'ghcr.io/tool'],
    ['ghcr.io/**', 'ghcr.io.evil.example/a'],
    ['localhost:5000/**', 'localhost:5001/tool'],
  ];
  for (const [pattern, image] of different) it(`does not take ${image} for ${pattern}`, () => assert.ok(!matchesImage(pattern, image)));

  it('agrees with a regular expression on what stars mean', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '/', '*', '**'), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(letters, fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 8 }), (pattern, parts) => {
        const source = pattern.replace(/\*\*|\*/g, (star) => (star === '**' ? '.*' : '[^/]*'));
        const expected = new RegExp(`^x\\.io/${source}$`).test(`x.io/${parts.join('')}`);
        assert.equal(matchesImage(`x.io/${pattern}`, `x.io/${parts.join('')}`), expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes no longer for a pattern of many stars', () => {
    const startedMs = performance.now();
    assert.ok(!matchesImage(`x.io/${'*a'.repeat(100)}b`, `x.io/${'a'.repeat(400)}`));
    assert.ok(performance.now() - startedMs < 1_000);
  });
});

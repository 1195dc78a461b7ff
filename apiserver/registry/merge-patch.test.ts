import assert from 'node:assert/strict';
import fc from 'fast-check';
import { cloneJson, equalJson, isObject } from '../admission/json-value.ts';
import { mergePatch } from './merge-patch.ts';

/** RFC 7386, appendix A. */
const examples: readonly [target: unknown, patch: unknown, result: unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

const json = fc.jsonValue({ maxDepth: 4 });

function hasNull(value: unknown): boolean {
  if (value === null) return true;
  return isObject(value) && Object.values(value).some(hasNull);
}

describe('mergePatch()', () => {
  for (const [target, patch, result] of examples) {
    it(`makes ${JSON.stringify(result)} of ${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(mergePatch(target, patch), result);
    });
  }

  it('changes neither argument, and shares nothing with them', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const before = [cloneJson(target), cloneJson(patch)];
        const result = mergePatch(target, patch);
        scramble(result);
        assert.deepEqual([target, patch], before);
      }),
    );
  });

  it('applied twice is the same as once', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const once = mergePatch(target, patch);
        assert.ok(equalJson(mergePatch(once, patch), once));
      }),
    );
  });

  it('from an object to itself changes nothing when nothing in it is null', () => {
    fc.assert(
      fc.property(json, (value) => {
        fc.pre(!hasNull(value));
        assert.ok(equalJson(mergePatch(value, value), value));
      }),
    );
  });

  it('takes __proto__ for an ordinary key', () => {
    const result = mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.deepEqual(Object.keys(result as object), ['__proto__']);
  });
});

function scramble(value: unknown): void {
  if (Array.isArray(value)) value.push('scrambled');
  if (!isObject(value)) return;
  Object.values(value).forEach(scramble);
  value['scrambled'] = true;
}

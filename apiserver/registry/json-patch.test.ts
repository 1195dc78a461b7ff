import assert from 'node:assert/strict';
import { jsonPatch } from './json-patch.ts';
import { StatusError } from './status-error.ts';

function refusal(target: Record<string, unknown>, patch: unknown): StatusError {
  try {
    jsonPatch(target, patch);
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  return assert.fail('the patch was applied');
}

describe('jsonPatch()', () => {
  it('applies operations in order, to a copy', () => {
    const target = { spec: { size: 's', list: [1, 2] } };
    const patch = [
      { op: 'test', path: '/spec/size', value: 's' },
      { op: 'replace', path: '/spec/size', value: 'm' },
      { op: 'add', path: '/spec/list/-', value: { a: 1 } },
      { op: 'copy', from: '/spec/list/2', path: '/spec/copied' },
      { op: 'move', from: '/spec/list/0', path: '/spec/moved' },
      { op: 'remove', path: '/spec/list/0' },
    ];
    assert.deepEqual(jsonPatch(target, patch), { spec: { size: 'm', list: [{ a: 1 }], copied: { a: 1 }, moved: 1 } });
    assert.deepEqual(target, { spec: { size: 's', list: [1, 2] } });
  });

  it('leaves the patch as it is, so that it can be applied again', () => {
    const patch = [
      { op: 'add', path: '/a', value: { x: 1 } },
      { op: 'add', path: '/a/y', value: 2 },
    ];
    assert.deepEqual(jsonPatch({}, patch), { a: { x: 1, y: 2 } });
    assert.deepEqual(jsonPatch({}, patch), { a: { x: 1, y: 2 } });
    assert.deepEqual(patch[0], { op: 'add', path: '/a', value: { x: 1 } });
  });

  const doesNotApply = [
    [{ op: 'test', path: '/spec', value: 'zzz' }],
    [{ op: 'remove', path: '/nothere' }],
    [{ op: 'replace', path: '/nothere', value: 1 }],
    [{ op: 'add', path: '/no/parent', value: 1 }],
    [{ op: 'copy', from: '/nothere', path: '/x' }],
    [{ op: 'add', path: '/__proto__/polluted', value: 1 }],
  ];
  for (const patch of doesNotApply) {
    it(`answers 422 to ${JSON.stringify(patch)}`, () => {
      const { status } = refusal({ spec: 's' }, patch);
      const message = 'the server rejected our request due to an error in our request';
      assert.deepEqual([status.code, status.reason, status.message, status.details], [422, 'Invalid', message, {}]);
    });
  }

  for (const patch of [{}, [1], [{ op: 'bogus', path: '/x' }], [{ op: 'add' }], [{ op: 'move', path: '/x' }]]) {
    it(`answers 400 to ${JSON.stringify(patch)}`, () => {
      assert.equal(refusal({}, patch).code, 400);
    });
  }

  it('takes 10000 operations and no more', () => {
    const operations = Array.from({ length: 10_000 }, () => ({ op: 'test', path: '/a', value: 1 }));
    assert.deepEqual(jsonPatch({ a: 1 }, operations), { a: 1 });
    assert.equal(refusal({ a: 1 }, [...operations, { op: 'test', path: '/a', value: 1 }]).code, 413);
  });

  it('does not let copies double an object without end', () => {
    const doubling = Array.from({ length: 200 }, (_, index) => ({ op: 'copy', from: '', path: `/x${index}` }));
    assert.equal(refusal({ text: 'x'.repeat(1000) }, doubling).code, 422);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { StatusError } from './status-error.ts';

const token = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('continue tokens', () => {
  it('are byte for byte those of kube-apiserver', () => {
    assert.equal(encodeContinue({ revision: 34, start: 'c\0' }), 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzQsInN0YXJ0IjoiY1x1MDAwMCJ9');
  });

  it('are read as they were written', () => {
    const revision = fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
    const start = fc.stringMatching(/^[a-z0-9][-a-z0-9]{0,20}(\/[a-z0-9][-a-z0-9]{0,20})?$/).map((key) => `${key}\0`);
    fc.assert(
      fc.property(revision, start, (rv, key) => {
        assert.deepEqual(decodeContinue(encodeContinue({ revision: rv, start: key })), { revision: rv, start: key });
      }),
    );
  });

  const wrong: readonly [string, RegExp][] = [
    ['bogus', /illegal base64 data at input byte 4/],
    ['!!!!', /illegal base64 data at input byte 0/],
    [Buffer.from('{bad').toString('base64url'), /continue key is not valid/],
    [token({ v: 'v9', rv: 1, start: 'a' }), /does not recognize this encoded version/],
    [token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' }), /incorrect encoded start resourceVersion/],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: '' }), /encoded start key empty/],
    [token({ v: 'meta.k8s.io/v1', rv: 1, start: '../secrets/x' }), /continue key is not valid/],
    [token(null), /does not recognize/],
  ];
  for (const [text, message] of wrong) {
    it(`refuse ${text} with 400`, () => {
      assert.throws(
        () => decodeContinue(text),
        (error) => error instanceof StatusError && error.code === 400 && message.test(error.message),
      );
    });
  }
});

import assert from 'node:assert/strict';
import { bodyEncoding, negotiatePlain, negotiateResource, patchTypeOf } from './negotiate.ts';

const table = { kind: 'Table', version: 'v1' };

describe('negotiateResource()', () => {
  it('gives what kubectl and others ask for', () => {
    const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';
    assert.deepEqual(negotiateResource(asTable), { encoding: 'json', as: table });
    assert.deepEqual(negotiateResource('application/vnd.kubernetes.protobuf,application/json'), { encoding: 'json' });
    assert.deepEqual(negotiateResource('application/vnd.kubernetes.protobuf, */*'), { encoding: 'json' });
    assert.deepEqual(negotiateResource('application/json, */*;q=0.8'), { encoding: 'json' });
    assert.deepEqual(negotiateResource('application/yaml'), { encoding: 'yaml' });
    assert.deepEqual(negotiateResource('application/json;stream=watch'), { encoding: 'json' });
    assert.deepEqual(negotiateResource(undefined), { encoding: 'json' });
    assert.deepEqual(negotiateResource('application/json;q=0.5,application/yaml'), { encoding: 'yaml' });
  });

  it('passes over a transform that is unknown, and refuses when nothing is left', () => {
    assert.deepEqual(negotiateResource('application/json;as=Foo;v=v1;g=meta.k8s.io,application/json'), { encoding: 'json' });
    const expected = { code: 406, message: 'only the following media types are accepted: application/json, application/yaml' };
    for (const accept of [
      'application/json;as=Foo;v=v1;g=meta.k8s.io',
      'application/vnd.kubernetes.protobuf',
      'text/html',
      'application/json;q=0',
    ]) {
      assert.throws(() => negotiateResource(accept), expected, accept);
    }
  });

  it('is not strict about answers that are no resource', () => {
    assert.equal(negotiatePlain('application/vnd.kubernetes.protobuf'), 'json');
    assert.equal(negotiatePlain('application/yaml'), 'yaml');
  });
});

describe('the form of a body', () => {
  it('is JSON when nobody says', () => {
    assert.equal(bodyEncoding(undefined, false), 'json');
    assert.equal(bodyEncoding('application/json; charset=utf-8', false), 'json');
    assert.equal(bodyEncoding('application/yaml', false), 'yaml');
  });

  it('is protobuf only where the type has one', () => {
    assert.equal(bodyEncoding('application/vnd.kubernetes.protobuf', true), 'protobuf');
    assert.throws(() => bodyEncoding('application/vnd.kubernetes.protobuf', false), {
      code: 415,
      message: 'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml',
    });
  });

  it('of a patch is never strategic for custom resources', () => {
    assert.equal(patchTypeOf('application/merge-patch+json', ['json', 'merge', 'apply']), 'merge');
    const message =
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml';
    assert.throws(() => patchTypeOf('application/strategic-merge-patch+json', ['json', 'merge', 'apply']), { code: 415, message });
    assert.throws(() => patchTypeOf('application/json', ['json', 'merge', 'apply']), { code: 415, message });
  });
});

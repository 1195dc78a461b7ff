import assert from 'node:assert/strict';
import { finalizerWarnings, validateObjectMeta, validateObjectMetaUpdate } from './object-meta.ts';

const valid = { name: 'a', namespace: 'default' };

function errorsOf(change: object, options: Parameters<typeof validateObjectMeta>[1] = { namespaced: true }): string[] {
  return validateObjectMeta({ ...valid, ...change }, options).map(({ reason, field, message }) => `${reason} ${field}: ${message}`);
}

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

describe('validateObjectMeta()', () => {
  it('takes what is right, null for absent included', () => {
    assert.deepEqual(
      errorsOf({
        labels: { 'example.com/a': 'b', c: '' },
        annotations: { 'Example.com/A': 'anything at all' },
        finalizers: ['a.b/c'],
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: '1', controller: true }],
        creationTimestamp: null,
        managedFields: null,
      }),
      [],
    );
    assert.deepEqual(validateObjectMeta({ name: 'x.y', generateName: 'gen-' }, { namespaced: false }), []);
  });

  it('says what is wrong with names (recorded: bad name, no name)', () => {
    assert.deepEqual(errorsOf({ name: 'Bad_Name' }), [`FieldValueInvalid metadata.name: Invalid value: "Bad_Name": ${subdomain}`]);
    assert.deepEqual(errorsOf({ name: '' }), ['FieldValueRequired metadata.name: Required value: name or generateName is required']);
    assert.match(errorsOf({ name: 'a'.repeat(254) })[0] ?? '', /must be no more than 253 bytes$/);
    assert.match(errorsOf({ name: 'a.b' }, { namespaced: true, nameRule: 'dns-label' })[0] ?? '', /RFC 1123 label/);
    assert.match(errorsOf({ name: '1a' }, { namespaced: true, nameRule: 'dns-1035-label' })[0] ?? '', /DNS-1035 label/);
    assert.deepEqual(errorsOf({ name: 'system:node' }, { namespaced: true, nameRule: 'path-segment' }), []);
    assert.equal(errorsOf({ name: 'a/b%' }, { namespaced: true, nameRule: 'path-segment' }).length, 2);
    assert.deepEqual(errorsOf({}, { namespaced: false }), ['FieldValueForbidden metadata.namespace: Forbidden: not allowed on this type']);
  });

  it('says what is wrong with labels and annotations (recorded: bad label)', () => {
    assert.deepEqual(errorsOf({ labels: { 'bad key!': 'x' } }), [
      `FieldValueInvalid metadata.labels: Invalid value: "bad key!": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    ]);
    assert.match(errorsOf({ labels: { a: '-' } })[0] ?? '', /a valid label must be an empty string or consist of/);
    assert.deepEqual(errorsOf({ annotations: { a: 'é'.repeat(131_072) } }), [
      'FieldValueTooLong metadata.annotations: Too long: may not be more than 262144 bytes',
    ]);
  });

  it('says what is wrong with owners and finalizers (recorded: ownerRef without uid, two controllers)', () => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x' };
    assert.deepEqual(errorsOf({ ownerReferences: [owner] }), [
      'FieldValueInvalid metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    ]);
    const two = [
      { ...owner, uid: '1', controller: true },
      { ...owner, name: 'y', uid: '2', controller: true },
    ];
    assert.deepEqual(errorsOf({ ownerReferences: two }), [
      `FieldValueInvalid metadata.ownerReferences: Invalid value: ${JSON.stringify(two)}: Only one reference can have Controller set to true. Found "true" in references for ConfigMap/x and ConfigMap/y`,
    ]);
    assert.equal(errorsOf({ finalizers: ['a b'] }).length, 1);
    assert.deepEqual(finalizerWarnings({ finalizers: ['nofq', 'orphan', 'a.b/c'] }), [
      'metadata.finalizers: "nofq": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers',
    ]);
  });

  it('survives wrong types', () => {
    for (const wrong of [{ labels: { a: 1 } }, { labels: [] }, { name: 5 }, { ownerReferences: [null] }, { finalizers: 'x' }]) {
      assert.match(errorsOf(wrong)[0] ?? '', /^FieldValueTypeInvalid metadata\..* in body must be of type/, JSON.stringify(wrong));
    }
    for (const wrong of [null, [], 'x']) assert.equal(validateObjectMeta(wrong, { namespaced: true }).length, 1);
  });
});

describe('validateObjectMetaUpdate()', () => {
  const old = { ...valid, uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/f'] };

  it('keeps what cannot change (recorded: set deletionTimestamp by patch)', () => {
    assert.deepEqual(validateObjectMetaUpdate({ ...old, labels: { a: 'b' } }, old), []);
    assert.deepEqual(validateObjectMetaUpdate({ ...old, deletionTimestamp: '2001-01-01T00:00:00Z' }, old), [
      {
        reason: 'FieldValueInvalid',
        field: 'metadata.deletionTimestamp',
        message: 'Invalid value: "2001-01-01T00:00:00Z": field is immutable',
      },
    ]);
    assert.deepEqual(
      validateObjectMetaUpdate({ ...old, uid: 'x', creationTimestamp: '2001-01-01T00:00:00Z' }, old).map(({ field }) => field),
      ['metadata.uid', 'metadata.creationTimestamp'],
    );
  });

  it('takes no new finalizers while the object is deleted (recorded: add finalizer while terminating)', () => {
    const deleting = { ...old, deletionTimestamp: '2026-01-02T00:00:00Z' };
    assert.deepEqual(validateObjectMetaUpdate({ ...deleting, finalizers: ['example.com/f', 'example.com/g'] }, deleting), [
      {
        reason: 'FieldValueForbidden',
        field: 'metadata.finalizers',
        message: 'Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/g"}',
      },
    ]);
    assert.deepEqual(validateObjectMetaUpdate({ ...deleting, finalizers: [] }, deleting), []);
  });
});

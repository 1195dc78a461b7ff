import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeForStore, StoredEntry } from './stored-entry.ts';
import { compareVersions } from './version-order.ts';
import { resourcePrefix, resourcePrefixOf } from './storage-keys.ts';

const at = { key: '/registry/things/a', createRevision: 3, modRevision: 7 };

describe('StoredEntry', () => {
  it('gives readers the stored object with its resourceVersion, in bytes and parsed', () => {
    const rest = fc.dictionary(
      fc.string().filter((key) => !['apiVersion', 'kind', 'metadata', '__proto__', 'toJSON'].includes(key)),
      fc.jsonValue(),
    );
    const metadata = fc.record({ name: fc.string(), labels: fc.dictionary(fc.string(), fc.string()) });
    fc.assert(
      fc.property(rest, metadata, (fields, meta) => {
        const object = { apiVersion: 'g/v1', kind: 'Thing', metadata: meta, ...fields };
        const entry = StoredEntry.fromStore({ ...at, value: encodeForStore({ ...object, metadata: { resourceVersion: '1', ...meta } }) });
        const expected: unknown = JSON.parse(JSON.stringify({ ...object, metadata: { ...meta, resourceVersion: '7' } }));
        assert.deepEqual(JSON.parse(entry.bytes.toString()), expected);
        assert.deepEqual(entry.object, expected);
        const later = JSON.parse(entry.atRevision(123456).bytes.toString()) as { metadata: object };
        assert.deepEqual(later.metadata, { ...(expected as { metadata: object }).metadata, resourceVersion: '123456' });
      }),
    );
  });

  it('reads what other programs stored, in any order of keys', () => {
    const value = Buffer.from('{"a":{"metadata":{"x":1}},"metadata":{"name":"n","resourceVersion":"5"},"kind":"K","apiVersion":"v1"}');
    const { object, bytes } = StoredEntry.fromStore({ ...at, value });
    assert.equal(object.metadata.resourceVersion, '7');
    assert.deepEqual(JSON.parse(bytes.toString()), {
      a: { metadata: { x: 1 } },
      metadata: { name: 'n', resourceVersion: '7' },
      kind: 'K',
      apiVersion: 'v1',
    });
  });

  for (const text of ['', '[]', '{"kind":"K"}', '{bad']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => StoredEntry.fromStore({ ...at, value: Buffer.from(text) }), SyntaxError);
    });
  }
});

describe('storage keys', () => {
  it('are those of Kubernetes, and say which resource they belong to', () => {
    assert.equal(resourcePrefix('potluck.dev', 'instances'), '/registry/potluck.dev/instances/');
    assert.equal(resourcePrefix('', 'secrets'), '/registry/secrets/');
    assert.equal(resourcePrefixOf('/registry/potluck.dev/instances/default/a'), '/registry/potluck.dev/instances/');
    assert.equal(resourcePrefixOf('/registry/secrets/default/a'), '/registry/secrets/');
    assert.equal(resourcePrefixOf('/other/secrets/default/a'), undefined);
  });
});

describe('compareVersions()', () => {
  it("orders versions as Kubernetes' documentation of CRD versioning does", () => {
    const expected = ['v10', 'v2', 'v1', 'v11beta2', 'v10beta3', 'v3beta1', 'v12alpha1', 'v11alpha2', 'foo1', 'foo10'];
    assert.deepEqual([...expected].reverse().sort(compareVersions), expected);
  });
});

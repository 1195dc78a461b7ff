import assert from 'node:assert/strict';
import type { JsonSchema } from '../admission/structural-schema.ts';
import type { JsonObject } from '../admission/json-value.ts';
import { StatusError } from './status-error.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';

const schema: JsonSchema = {
  type: 'object',
  properties: {
    ports: {
      type: 'array',
      items: { type: 'object', properties: { tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-patch-strategy': 'merge' } } },
      'x-kubernetes-patch-strategy': 'merge',
      'x-kubernetes-patch-merge-key': 'name',
    },
    whole: { type: 'object', 'x-kubernetes-patch-strategy': 'replace' },
  },
};

const ab = (): JsonObject => ({
  ports: [
    { name: 'a', port: 1 },
    { name: 'b', port: 2 },
  ],
});

const cases: readonly [claim: string, target: JsonObject, patch: JsonObject, result: JsonObject][] = [
  ['merges maps and removes with null', { data: { a: '1', b: '2' } }, { data: { a: null, c: '3' } }, { data: { b: '2', c: '3' } }],
  ['replaces lists that have no merge key', { list: [1, 2] }, { list: [3] }, { list: [3] }],
  [
    'merges a keyed list by its key',
    ab(),
    { ports: [{ name: 'b', port: 9 }] },
    {
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 9 },
      ],
    },
  ],
  [
    'appends what a keyed list lacks',
    ab(),
    { ports: [{ name: 'c' }] },
    { ports: [{ name: 'a', port: 1 }, { name: 'b', port: 2 }, { name: 'c' }] },
  ],
  ['deletes an element by directive', ab(), { ports: [{ $patch: 'delete', name: 'a' }] }, { ports: [{ name: 'b', port: 2 }] }],
  ['replaces a keyed list by directive', ab(), { ports: [{ $patch: 'replace' }, { name: 'z' }] }, { ports: [{ name: 'z' }] }],
  ['replaces a map by directive', { data: { a: 1 } }, { data: { $patch: 'replace', b: 2 } }, { data: { b: 2 } }],
  ['empties a map by directive', { data: { a: 1 } }, { data: { $patch: 'delete' } }, { data: {} }],
  ['replaces a map whose strategy says so', { whole: { a: 1 } }, { whole: { b: 2 } }, { whole: { b: 2 } }],
  ['keeps only retained keys', { u: { a: 1, b: 2 } }, { u: { $retainKeys: ['b', 'c'], c: 3 } }, { u: { b: 2, c: 3 } }],
  [
    'orders by $setElementOrder, others keeping their place',
    { ports: [{ name: 'x' }, { name: 'a' }, { name: 'b' }] },
    { '$setElementOrder/ports': [{ name: 'b' }, { name: 'a' }], ports: [{ name: 'a', port: 1 }] },
    { ports: [{ name: 'x' }, { name: 'b' }, { name: 'a', port: 1 }] },
  ],
  [
    'orders a list that it does not change otherwise',
    ab(),
    { '$setElementOrder/ports': [{ name: 'b' }, { name: 'a' }] },
    {
      ports: [
        { name: 'b', port: 2 },
        { name: 'a', port: 1 },
      ],
    },
  ],
  [
    'merges finalizers as a set',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { finalizers: ['b', 'c'] } },
    { metadata: { finalizers: ['a', 'b', 'c'] } },
  ],
  [
    'deletes from a list of values by directive',
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
    { metadata: { finalizers: ['b'] } },
  ],
  [
    'merges owner references by uid',
    { metadata: { ownerReferences: [{ uid: '1', name: 'x' }] } },
    {
      metadata: {
        ownerReferences: [
          { uid: '1', name: 'y' },
          { uid: '2', name: 'z' },
        ],
      },
    },
    {
      metadata: {
        ownerReferences: [
          { uid: '1', name: 'y' },
          { uid: '2', name: 'z' },
        ],
      },
    },
  ],
  ['drops nulls and directives of what it adds', {}, { data: { a: null, $patch: 'merge', b: 1 } }, { data: { b: 1 } }],
];

describe('strategicMergePatch()', () => {
  for (const [claim, target, patch, result] of cases) {
    it(claim, () => {
      assert.deepEqual(strategicMergePatch(target, patch, schema), result);
    });
  }

  for (const patch of [{ ports: [{ port: 1 }] }, { ports: ['x'] }, { data: { $patch: 'bogus' } }, { u: { $retainKeys: ['a'], b: 1 } }]) {
    it(`refuses ${JSON.stringify(patch)} with 400`, () => {
      const apply = (): unknown => strategicMergePatch({ ports: [], data: {}, u: {} }, patch, schema);
      assert.throws(apply, (error) => error instanceof StatusError && error.code === 400);
    });
  }
});

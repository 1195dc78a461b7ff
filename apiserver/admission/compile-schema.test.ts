import assert from 'node:assert/strict';
import { compileSchema } from './compile-schema.ts';
import type { JsonSchema, StructuralSchema } from './structural-schema.ts';

/** The CRD against which the answers of a real Kubernetes API server were recorded. */
const recorded: JsonSchema = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      'x-kubernetes-validations': [
        { rule: 'self.replicas <= 5', message: 'replicas must be <= 5', fieldPath: '.replicas', reason: 'FieldValueForbidden' },
        { rule: '!has(oldSelf.zone) || self.zone == oldSelf.zone', message: 'zone is immutable' },
      ],
      properties: {
        size: { type: 'string', enum: ['s', 'm', 'l'], default: 's' },
        replicas: { type: 'integer', minimum: 0, maximum: 10, default: 1 },
        zone: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        ports: {
          type: 'array',
          maxItems: 10,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, port: { type: 'integer' } } },
        },
        tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        nul: { type: 'string', nullable: true },
      },
    },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
};

const embedding: JsonSchema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        arr: { type: 'array', minItems: 1, items: { type: 'integer' } },
        dt: { type: 'string', format: 'date-time' },
        ios: { 'x-kubernetes-int-or-string': true },
        map: { type: 'object', additionalProperties: { type: 'integer' } },
        nn: { type: 'string', default: 'd' },
        nul: { type: 'string', nullable: true, default: 'd' },
        q: { 'x-kubernetes-int-or-string': true, pattern: '^[0-9]+$' },
        tpl: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  },
};

function texts(schema: StructuralSchema, object: Record<string, unknown>, old?: Record<string, unknown>): string[] {
  return schema.validate(object, old).map(({ reason, field, message }) => `${reason} ${field}: ${message}`);
}

function rules(schema: StructuralSchema, object: Record<string, unknown>, old?: Record<string, unknown>): string[] {
  return schema.validateRules(object, old).map(({ reason, field, message }) => `${reason} ${field}: ${message}`);
}

describe('compileSchema()', () => {
  const schema = compileSchema(recorded);
  const embedded = compileSchema(embedding);

  it('drops unknown fields, keeps what is to be preserved, and says what it dropped', () => {
    const object = {
      apiVersion: 'v1',
      kind: 'Instance',
      metadata: { name: 'a', foo: 'x' },
      spec: { size: 's', unknownf: 1, free: { x: { y: 1 } }, ports: [{ name: 'p', bogus: 1 }] },
      status: { anything: [1] },
    };
    assert.deepEqual(schema.prune(object), ['metadata.foo', 'spec.unknownf', 'spec.ports[0].bogus']);
    assert.deepEqual(object.spec, { size: 's', free: { x: { y: 1 } }, ports: [{ name: 'p' }] });
    assert.deepEqual(object.status, { anything: [1] });
  });

  it('prunes the metadata of embedded resources', () => {
    const object = { spec: { tpl: { apiVersion: 'v1', kind: 'X', metadata: { name: 'x', bogus: 1 }, spec: { z: 1 } } } };
    assert.deepEqual(embedded.prune(object), ['spec.tpl.metadata.bogus']);
    assert.deepEqual(object.spec.tpl, { apiVersion: 'v1', kind: 'X', metadata: { name: 'x' }, spec: { z: 1 } });
  });

  it('fills defaults where the parent exists, replaces null by the default, keeps a nullable null, drops other nulls', () => {
    const object = { spec: { zone: null, nul: null, replicas: null } };
    schema.applyDefaults(object);
    assert.deepEqual(object, { spec: { size: 's', replicas: 1, nul: null } });
    const empty = {};
    schema.applyDefaults(empty);
    assert.deepEqual(empty, {});
    const nulls = { spec: { arr: null, nn: null, nul: null } };
    embedded.applyDefaults(nulls);
    assert.deepEqual(nulls, { spec: { nn: 'd', nul: null } });
  });

  it('gives each object a default of its own', () => {
    const listed = compileSchema({ type: 'object', properties: { list: { type: 'array', items: { type: 'string' }, default: ['a'] } } });
    const first: { list?: string[] } = {};
    const second: { list?: string[] } = {};
    listed.applyDefaults(first);
    first.list?.push('b');
    listed.applyDefaults(second);
    assert.deepEqual(second.list, ['a']);
  });

  it('reports several faults as Kubernetes does (recorded: Invalid multi)', () => {
    const spec = {
      size: 'xxl',
      replicas: 99,
      zone: 'ABC123',
      port: true,
      ports: [{ name: 'p' }, { name: 'p' }],
      tags: ['x', 'x'],
    };
    assert.deepEqual(texts(schema, { spec }), [
      'FieldValueTypeInvalid spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
      'FieldValueInvalid spec.replicas: Invalid value: 99: spec.replicas in body should be less than or equal to 10',
      'FieldValueNotSupported spec.size: Unsupported value: "xxl": supported values: "s", "m", "l"',
      'FieldValueTooLong spec.zone: Too long: may not be more than 5 bytes',
      'FieldValueDuplicate spec.ports[1]: Duplicate value: {"name":"p"}',
      'FieldValueDuplicate spec.tags[1]: Duplicate value: "x"',
    ]);
    assert.deepEqual(texts(schema, {}), ['FieldValueRequired spec: Required value']);
  });

  it('reports wrong types and formats as Kubernetes does (recorded: type errors)', () => {
    assert.deepEqual(texts(embedded, { spec: { map: { a: 'x' }, dt: 'notadate', arr: [], ios: 1.5 } }), [
      'FieldValueInvalid spec.arr: Invalid value: 0: spec.arr in body should have at least 1 items',
      'FieldValueTypeInvalid spec.dt: Invalid value: "notadate": spec.dt in body must be of type date-time: "notadate"',
      'FieldValueTypeInvalid spec.ios: Invalid value: "number": spec.ios in body must be of type integer,string: "number"',
      'FieldValueTypeInvalid spec.map.a: Invalid value: "string": spec.map.a in body must be of type integer: "string"',
    ]);
    assert.deepEqual(texts(embedded, { spec: { q: 'abc' } }), [
      `FieldValueInvalid spec.q: Invalid value: "abc": spec.q in body should match '^[0-9]+$'`,
    ]);
    assert.deepEqual(texts(embedded, { spec: { q: 5 } }), []);
    assert.deepEqual(texts(embedded, { spec: { tpl: { spec: {} } } }), [
      'FieldValueRequired spec.tpl.apiVersion: Required value',
      'FieldValueRequired spec.tpl.kind: Required value',
    ]);
  });

  it('applies rules, with their reason and field (recorded: CEL)', () => {
    assert.deepEqual(rules(schema, { spec: { size: 's', replicas: 7 } }), [
      'FieldValueForbidden spec.replicas: Forbidden: replicas must be <= 5',
    ]);
    assert.deepEqual(rules(schema, { spec: {} }), [
      'FieldValueInvalid spec: Invalid value: "object": no such key: replicas evaluating rule: replicas must be <= 5',
    ]);
  });

  it('applies transition rules only where there was something (recorded: CEL transition rule)', () => {
    const old = { spec: { size: 's', replicas: 1, zone: 'abc' } };
    assert.deepEqual(rules(schema, { spec: { size: 's', replicas: 1, zone: 'xyz' } }, old), [
      'FieldValueInvalid spec: Invalid value: zone is immutable',
    ]);
    assert.deepEqual(rules(schema, { spec: { size: 's', replicas: 1, zone: 'xyz' } }), []);
  });

  it('forgives on update what was wrong before and did not change, and nothing else', () => {
    const old = { spec: { size: 'old', replicas: 7, tags: ['x', 'x'] } };
    assert.deepEqual(texts(schema, { spec: { size: 'old', replicas: 8, tags: ['x', 'x'] } }, old), []);
    assert.deepEqual(texts(schema, { spec: { size: 'new', replicas: 7 } }, old), [
      'FieldValueNotSupported spec.size: Unsupported value: "new": supported values: "s", "m", "l"',
    ]);
    assert.deepEqual(rules(schema, { spec: { size: 'old', replicas: 7, tags: ['x', 'x'] } }, old), []);
    assert.deepEqual(rules(schema, { spec: { size: 's', replicas: 7 } }, old).length, 1);
  });

  it('counts characters, not UTF-16 units', () => {
    const short = compileSchema({ type: 'object', properties: { s: { type: 'string', maxLength: 2, minLength: 2 } } });
    assert.deepEqual(texts(short, { s: '😀é' }), []);
    assert.equal(texts(short, { s: '😀😀😀' })[0], 'FieldValueTooLong s: Too long: may not be more than 2 bytes');
    assert.equal(texts(short, { s: '😀' })[0], 'FieldValueInvalid s: Invalid value: "😀": s in body should be at least 2 chars long');
  });

  it('checks junctors, and names the field in the text', () => {
    const one: JsonSchema = {
      type: 'object',
      properties: {
        a: {
          type: 'object',
          oneOf: [{ required: ['x'] }, { required: ['y'] }],
          properties: { x: { type: 'string' }, y: { type: 'string' } },
        },
        n: { type: 'integer', not: { enum: [3] }, allOf: [{ minimum: 1 }, { multipleOf: 2 }] },
      },
    };
    const compiled = compileSchema(one);
    assert.deepEqual(texts(compiled, { a: { x: '', y: '' } }), [
      'FieldValueInvalid <nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]);
    assert.match(texts(compiled, { a: {} }).join('\n'), /Found none valid/);
    assert.match(
      texts(compiled, { n: 3 }).join('\n'),
      /n in body should be a multiple of 2[^]*allOf[^]*must not validate the schema \(not\)/,
    );
    assert.deepEqual(texts(compiled, { a: { x: '' }, n: 4 }), []);
  });

  it('checks names that are also names of JavaScript', () => {
    const odd = compileSchema({
      type: 'object',
      properties: { spec: { type: 'object', required: ['toString'], properties: { constructor: { type: 'integer' } } } },
    });
    assert.deepEqual(texts(odd, { spec: {} }), ['FieldValueRequired spec.toString: Required value']);
    const hostile = JSON.parse('{"spec":{"toString":1,"__proto__":{"x":1}}}') as Record<string, unknown>;
    assert.deepEqual(odd.prune(hostile), ['spec.toString', 'spec.__proto__']);
  });

  it('validates a typical object in well under 100 µs', () => {
    const object = {
      apiVersion: 'v1',
      kind: 'X',
      metadata: { name: 'a' },
      spec: { size: 's', replicas: 1, zone: 'abc', tags: ['a', 'b'], ports: [{ name: 'p', port: 1 }] },
    };
    for (let index = 0; index < 2000; index += 1) schema.validate(object);
    const start = process.hrtime.bigint();
    for (let index = 0; index < 1000; index += 1) schema.validate(object);
    const microseconds = Number(process.hrtime.bigint() - start) / 1e6;
    assert.ok(microseconds < 500, `${microseconds} µs`);
  });
});

import assert from 'node:assert/strict';
import type { JsonSchema, ValidationRule } from '../structural-schema.ts';
import { compileRules } from './compile-rules.ts';

const schema: JsonSchema = {
  type: 'object',
  properties: {
    text: { type: 'string' },
    count: { type: 'integer' },
    ratio: { type: 'number' },
    flag: { type: 'boolean' },
    when: { type: 'string', format: 'date-time' },
    wait: { type: 'string', format: 'duration' },
    raw: { type: 'string', format: 'byte' },
    ios: { 'x-kubernetes-int-or-string': true },
    maybe: { type: 'string', nullable: true },
    list: { type: 'array', items: { type: 'integer' } },
    words: { type: 'array', items: { type: 'string' } },
    map: { type: 'object', additionalProperties: { type: 'integer' } },
    'with-dash': { type: 'string' },
    namespace: { type: 'string' },
    inner: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'string' } } },
    other: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'string' } } },
    items: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' }, n: { type: 'integer' } } } },
  },
};

const object = {
  text: 'héllo 😀',
  count: 3,
  ratio: 45,
  flag: true,
  when: '2026-01-02T03:04:05Z',
  wait: '1h30m',
  raw: 'aGk=',
  ios: '50%',
  maybe: null,
  list: [3, 1, 2],
  words: ['b', 'a'],
  map: { x: 1, y: 2, constructor: 3 },
  'with-dash': 'd',
  namespace: 'n',
  inner: { a: 1, b: 'x' },
  items: [
    { name: 'p', n: 1 },
    { name: 'q', n: 2 },
  ],
};

function run(rule: ValidationRule | string, value: unknown = object, old?: unknown, base = schema): string[] {
  const rules = compileRules({ ...base, 'x-kubernetes-validations': [typeof rule === 'string' ? { rule } : rule] }, { resource: false });
  assert.deepEqual(rules.problems, [], JSON.stringify(rule));
  return rules.validate(value, old).map(({ field, message }) => `${field}: ${message}`);
}

describe('CEL rules', () => {
  const holding = [
    // Types
    'self.count == 3 && self.count < 3.5 && self.ratio == 45.0 && self.ratio > 44',
    "type(self.count) == int && type(self.ratio) == double && self.raw == b'hi'",
    "self.when < timestamp('2026-01-03T00:00:00Z') && self.when.getFullYear() == 2026",
    "self.wait == duration('90m') && self.wait.getMinutes() == 90",
    "self.ios == '50%' && string(self.ios) == '50%'",
    'has(self.text) && !has(self.other) && self.?other.?a.orValue(7) == 7 && self.?inner.?a.orValue(7) == 1',
    "self.__namespace__ == 'n' && self.inner == self.inner && self.items[1].n == 2",
    "self.map.all(k, self.map[k] > 0) && 'x' in self.map && !('z' in self.map) && size(self.map) == 3 && self.map['constructor'] == 3",
    // Macros
    'self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x == 3)',
    'self.list.map(x, x * 2).sum() == 12 && self.list.filter(x, x > 1).size() == 2 && self.items.map(i, i.n > 1, i.name) == ["q"]',
    'self.list.exists(x, 1 / (x - 1) > 0)',
    'self.list[9] == 1 || true',
    // Lists and sets
    '![3, 1].isSorted() && [1, 3].isSorted() && self.list.min() == 1 && self.list.max() == 3 && [0.5, 0.5].sum() == 1.0',
    "self.words.indexOf('a') == 1 && [1, 2, 1].lastIndexOf(1) == 2 && self.words.indexOf('z') == -1 && ['b', 'a'].join('-') == 'b-a'",
    'sets.contains(self.list, [1, 2]) && sets.equivalent([1, 2, 2], [2, 1]) && sets.intersects([1], [1, 5]) && !sets.intersects([1], [2])',
    // Strings: indices count code points, and only ASCII changes its case
    "self.text.size() == 7 && self.text.indexOf('😀') == 6 && self.text.charAt(6) == '😀' && self.text.substring(1, 3) == 'él'",
    "'ÄBc'.lowerAscii() == 'Äbc' && 'äbc'.upperAscii() == 'äBC' && ' a '.trim() == 'a' && 'a,b,c'.split(',', 2) == ['a', 'b,c']",
    "'aXbX'.replace('X', '-') == 'a-b-' && 'aXbX'.replace('X', '-', 1) == 'a-bX' && 'abcabc'.lastIndexOf('b') == 4 && 'ab'.reverse() == 'ba'",
    "'%s has %d, %.2f, %x'.format(['a', 3, 1.5, 255]) == 'a has 3, 1.50, ff'",
    "self.text.startsWith('h') && self.text.contains('llo') && self.text.endsWith('😀')",
    // RE2
    "'abc123'.matches('[a-z]+[0-9]+$') && !'abc'.matches('^b') && 'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
    // Quantities
    "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('500m').isLessThan(quantity('1')) && quantity('1000m') == quantity('1')",
    "isQuantity('1.5Gi') && !isQuantity('1.5GiB') && quantity('2').isInteger() && !quantity('1.5').isInteger() && quantity('2k').asInteger() == 2000",
    "quantity('1').add(quantity('500m')).compareTo(quantity('1.5')) == 0 && quantity('3').sub(1) == quantity('2') && quantity('-1').sign() == -1",
    "quantity('1.5').asApproximateFloat() == 1.5",
    // Networks
    "isIP('::1') && !isIP('1.2.3') && ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && ip('8.8.8.8').isGlobalUnicast()",
    "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1') && ip('fe80::1').isLinkLocalUnicast()",
    "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8' && cidr('10.0.0.0/8').prefixLength() == 8",
    "url('https://a.b:80/p?q=1&q=2').getHost() == 'a.b:80' && url('https://[::1]:80/').getHostname() == '::1' && url('/p').getScheme() == ''",
    "url('https://a.b/p?q=1&q=2').getQuery()['q'] == ['1', '2'] && isURL('https://a.b') && !isURL('a.b/c') && url('http://a:8/x').getPort() == '8'",
  ];
  for (const rule of holding) {
    it(`holds: ${rule}`, () => assert.deepEqual(run(rule), []));
  }

  it('escapes names that CEL cannot say', () => {
    assert.deepEqual(run("self.with__dash__dash == 'd'"), []);
  });

  const failing: [ValidationRule | string, string][] = [
    ['self.count == 4', '<nil>: Invalid value: failed rule: self.count == 4'],
    [{ rule: 'false', message: 'no' }, '<nil>: Invalid value: no'],
    [{ rule: 'false', message: 'no', fieldPath: '.inner.a' }, 'inner.a: Invalid value: no'],
    [{ rule: 'false', fieldPath: ".map['x']", message: 'no', reason: 'FieldValueRequired' }, 'map[x]: Required value: no'],
    [{ rule: 'false', messageExpression: "'count is ' + string(self.count)" }, '<nil>: Invalid value: count is 3'],
    [{ rule: 'false', message: 'fixed', messageExpression: 'string(1 / 0)' }, '<nil>: Invalid value: fixed'],
    ['self.other.a == 1', '<nil>: Invalid value: "object": no such key: other evaluating rule: self.other.a == 1'],
    ["self.map['z'] == 1", `<nil>: Invalid value: "object": no such key: z evaluating rule: self.map['z'] == 1`],
    ['self.list[5] == 1', '<nil>: Invalid value: "object": index out of bounds: 5 evaluating rule: self.list[5] == 1'],
    [{ rule: '1 / (self.count - 3) == 1', message: 'm' }, '<nil>: Invalid value: "object": division by zero evaluating rule: m'],
    [
      'self.ios > 5',
      `<nil>: Invalid value: "object": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: self.ios > 5`,
    ],
    [
      "quantity('abc').isInteger()",
      `<nil>: Invalid value: "object": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' evaluating rule: quantity('abc').isInteger()`,
    ],
    [
      "'abc'.matches('(')",
      "<nil>: Invalid value: \"object\": error parsing regexp: missing closing ): `(` evaluating rule: 'abc'.matches('(')",
    ],
  ];
  for (const [rule, expected] of failing) {
    it(`fails: ${JSON.stringify(rule)}`, () => {
      const found = run(rule);
      assert.equal(found.length, 1);
      assert.equal(found[0], expected);
    });
  }

  it('tells items of list maps apart by their keys, and gives them their own past', () => {
    const listed: JsonSchema = {
      type: 'object',
      properties: {
        items: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, n: { type: 'integer' } },
            'x-kubernetes-validations': [{ rule: 'self.n >= oldSelf.n', message: 'n must not shrink', fieldPath: '.n' }],
          },
        },
      },
    };
    const rules = compileRules(listed, { resource: false });
    assert.deepEqual(rules.problems, []);
    const old = {
      items: [
        { name: 'a', n: 1 },
        { name: 'b', n: 5 },
      ],
    };
    const now = {
      items: [
        { name: 'b', n: 4 },
        { name: 'c', n: 0 },
        { name: 'a', n: 1 },
      ],
    };
    assert.deepEqual(
      rules.validate(now, old).map(({ field }) => field),
      ['items[0].n'],
    );
    assert.deepEqual(rules.validate(now, undefined), []);
  });

  it('gives optional old selves', () => {
    const rule: ValidationRule = {
      rule: 'oldSelf.hasValue() ? oldSelf.value().count <= self.count : self.count == 3',
      optionalOldSelf: true,
    };
    assert.deepEqual(run(rule), []);
    assert.equal(run(rule, { count: 4 }).length, 1);
    assert.deepEqual(run(rule, { count: 4 }, { count: 4 }), []);
    assert.equal(run(rule, { count: 3 }, { count: 4 }).length, 1);
  });

  it('reads what the root of a resource always has', () => {
    const root: JsonSchema = {
      type: 'object',
      'x-kubernetes-validations': [{ rule: "self.metadata.name.startsWith('a') && self.kind == 'K'" }],
    };
    const rules = compileRules(root, { resource: true });
    assert.deepEqual(rules.problems, []);
    assert.deepEqual(rules.validate({ apiVersion: 'v1', kind: 'K', metadata: { name: 'ab' } }, undefined), []);
    assert.equal(rules.validate({ apiVersion: 'v1', kind: 'K', metadata: { name: 'b' } }, undefined).length, 1);
  });

  const numbers = Array.from({ length: 5000 }, (_, index) => index);
  const words = numbers.map((index) => `word-${index}-${'x'.repeat(200)}`);
  const hostile: [string, unknown][] = [
    ['self.list.all(a, self.list.all(b, self.list.all(c, self.list.all(d, a + b + c + d >= 0))))', { list: numbers }],
    ['self.list.all(a, self.list.exists(b, self.list.exists(c, a + b + c < 0)))', { list: numbers }],
    ['self.list.map(a, self.list.map(b, self.list.map(c, 1))).size() > 0', { list: numbers }],
    ['self.list.all(a, self.list.filter(b, a == b || a != b).size() > 0 || true)', { list: numbers }],
    ['self.list.all(a, (-1 in self.list) || a >= 0)', { list: numbers }],
    ['self.words.all(a, self.words.all(b, a + b != b + a || true))', { words }],
    ['self.words.all(a, self.words == self.words.map(b, b))', { words }],
    ["self.list.all(a, self.text.matches('^(a+)+$') || true)", { list: numbers, text: `${'a'.repeat(50_000)}b` }],
    ["self.list.all(a, self.text.replace('a', self.text).size() > 0 || true)", { list: numbers, text: 'a'.repeat(5000) }],
    ['self.list.all(a, sets.equivalent(self.list, self.list))', { list: numbers }],
    ['self.list.all(a, self.words.map(w, w + w).map(w, w + w).map(w, w + w).size() > 0)', { list: numbers, words }],
    ["self.list.all(a, '%s'.format([self.words]).size() > 0)", { list: numbers, words }],
  ];
  for (const [rule, value] of hostile) {
    it(`ends, soon and as a failure: ${rule}`, () => {
      const compiled = compileRules({ ...schema, 'x-kubernetes-validations': [{ rule }, { rule }, { rule }] }, { resource: false });
      assert.deepEqual(compiled.problems, []);
      const start = process.hrtime.bigint();
      const found = compiled.validate(value, undefined);
      const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
      assert.match(found.at(-1)?.message ?? '', /cost/);
      // About 200 ms are intended; the machines that tests run on may be busy.
      assert.ok(milliseconds < 1500, `${milliseconds} ms`);
    });
  }

  it('refuses an object whose many rules together cost too much, even if each holds', () => {
    const rule = 'self.list.all(a, self.list.all(b, a + b >= 0))';
    const compiled = compileRules({ ...schema, 'x-kubernetes-validations': Array<ValidationRule>(20).fill({ rule }) }, { resource: false });
    const found = compiled.validate({ list: numbers.slice(0, 150) }, undefined);
    assert.equal(found.length, 1);
    assert.match(found[0]?.message ?? '', /cost/);
    assert.deepEqual(compiled.validate({ list: numbers.slice(0, 20) }, undefined), []);
  });

  it('forgives no cost for what did not change', () => {
    const value = { list: numbers };
    const rule = 'self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0)))';
    const compiled = compileRules({ ...schema, 'x-kubernetes-validations': [{ rule }] }, { resource: false });
    assert.equal(compiled.validate(value, value).length, 1);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeYaml } from './decode-yaml.ts';
import { decodeStrictJson } from './strict-json.ts';

describe('decodeStrictJson()', () => {
  // Texts of Go's encoding/json.
  const wrong: [string, string][] = [
    ['{bad', "invalid character 'b' looking for beginning of object key string"],
    ['[bad', "invalid character 'b' looking for beginning of value"],
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['tru', 'unexpected end of JSON input'],
    ['trux', "invalid character 'x' in literal true (expecting 'e')"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12G4"', "invalid character 'G' in \\u hexadecimal character escape"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ["'a'", "invalid character '\\'' looking for beginning of value"],
  ];
  for (const [text, message] of wrong) {
    it(`says of ${JSON.stringify(text)}: ${message}`, () => {
      assert.throws(() => decodeStrictJson(text), { name: 'JsonSyntaxError', message });
    });
  }

  it('finds keys that stand twice, by path, and only when asked', () => {
    const text = '{"spec":{"size":"s","size":"m","list":[{"a":1},{"a":1,"a":2}]},"sp\\u0065c":1}';
    assert.deepEqual(decodeStrictJson(text, { findDuplicates: true }).duplicateFields, ['spec.size', 'spec.list[1].a', 'spec']);
    assert.deepEqual(decodeStrictJson(text).duplicateFields, []);
  });

  it('refuses depth instead of crashing, and takes brackets in strings for what they are', () => {
    for (const depth of [1001, 10_001, 1_000_000]) {
      assert.throws(() => decodeStrictJson('['.repeat(depth) + ']'.repeat(depth)), { message: 'exceeded max depth' });
    }
    assert.doesNotThrow(() => decodeStrictJson('['.repeat(1000) + ']'.repeat(1000)));
    assert.equal(decodeStrictJson(JSON.stringify('['.repeat(5000))).value, '['.repeat(5000));
  });

  it('refuses integers that it could not keep, and says where', () => {
    assert.throws(() => decodeStrictJson('{"spec":{"n":9007199254740993}}'), {
      message: 'the integer 9007199254740993 at spec.n cannot be kept exactly: integers must be from -9007199254740991 to 9007199254740991',
    });
    assert.deepEqual(decodeStrictJson('{"n":9007199254740991,"s":"99999999999999999999"}').value, {
      n: 9007199254740991,
      s: '99999999999999999999',
    });
  });

  it('takes __proto__ for a key', () => {
    const { value } = decodeStrictJson('{"__proto__":{"polluted":true}}');
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
    assert.equal((value as { polluted?: boolean }).polluted, undefined);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it('replaces halves of surrogate pairs, as Go does', () => {
    assert.deepEqual(decodeStrictJson('{"a":["\\ud800x","\\ud83d\\ude00"]}').value, { a: ['\ufffdx', '😀'] });
    assert.equal(decodeStrictJson(Buffer.from([0x22, 0xff, 0x22])).value, '\ufffd');
  });

  it('reads every JSON text as JSON.parse does, also with the scan', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!/\d{16}/.test(text));
        assert.deepEqual(decodeStrictJson(text, { findDuplicates: true }).value, JSON.parse(text));
      }),
    );
  });

  it('agrees with JSON.parse on what is JSON', () => {
    const part = fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', '-', '.', 'e', 'true', 'null', ' ', '\\', '"');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const outcome = (read: () => unknown): boolean => {
          try {
            read();
            return true;
          } catch {
            return false;
          }
        };
        assert.equal(
          outcome(() => decodeStrictJson(text, { findDuplicates: true })),
          outcome(() => JSON.parse(text) as unknown),
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('decodeYaml()', () => {
  it('reads what kubectl sends, and JSON', () => {
    assert.deepEqual(decodeYaml('kind: Instance\nmetadata: {name: yam}\nspec:\n  size: m\n  on: yes\n').value, {
      kind: 'Instance',
      metadata: { name: 'yam' },
      spec: { size: 'm', on: 'yes' },
    });
    assert.deepEqual(decodeYaml('{"a":[1,2.5,null,"x"]}').value, { a: [1, 2.5, null, 'x'] });
  });

  it('says the line of what is wrong', () => {
    assert.throws(() => decodeYaml('a: 1\nb:\n  - c\n d: 2\n'), { name: 'JsonSyntaxError', message: /^yaml: line \d: / });
    assert.throws(() => decodeYaml('a: 1\n---\nb: 2\n'), { message: /^yaml: line \d: / });
    assert.throws(() => decodeYaml('a: "open\n'), { message: /^yaml: line \d: / });
  });

  it('finds keys that stand twice', () => {
    const text = 'spec:\n  size: s\n  size: m\n  list:\n  - a: 1\n  - a: 1\n    a: 2\n';
    assert.deepEqual(decodeYaml(text, { findDuplicates: true }).duplicateFields, ['spec.size', 'spec.list[1].a']);
    assert.deepEqual(decodeYaml(text).value, { spec: { size: 'm', list: [{ a: 1 }, { a: 2 }] } });
  });

  it('bounds aliases and depth, and gives aliases values of their own', () => {
    const laughs = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let index = 0; index < 9; index += 1) {
      const [from, to] = [String.fromCharCode(97 + index), String.fromCharCode(98 + index)];
      laughs.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(',')}]`);
    }
    assert.throws(() => decodeYaml(laughs.join('\n')), { name: 'JsonSyntaxError' });
    assert.throws(() => decodeYaml('['.repeat(50_000)), { name: 'JsonSyntaxError' });
    assert.throws(() => decodeYaml('['.repeat(2000) + ']'.repeat(2000)), { message: 'exceeded max depth' });
    const { value } = decodeYaml('a: &x {b: 1}\nc: *x\n');
    const { a, c } = value as Record<string, Record<string, number>>;
    assert.notEqual(a, c);
    assert.deepEqual(a, c);
  });

  it('refuses numbers that JSON does not have', () => {
    for (const text of ['a: .inf', 'a: .nan', 'a: 9007199254740993'])
      assert.throws(() => decodeYaml(text), { name: 'JsonSyntaxError' }, text);
  });

  it('takes __proto__ for a key', () => {
    const { value } = decodeYaml('__proto__: {polluted: true}');
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { matchesFieldSelector, matchesLabelSelector, matchesRequirements, parseFieldSelector, parseLabelSelector } from './selector.ts';

describe('parseLabelSelector()', () => {
  const matching: [string, Record<string, string>, boolean][] = [
    ['', {}, true],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: '1' }, false],
    ['a=1', { a: '1' }, true],
    ['a==1', { a: '2' }, false],
    ['a = ', { a: '' }, true],
    ['a!=1', {}, true],
    ['a!=1', { a: '1' }, false],
    ['a in (1,2)', { a: '2' }, true],
    ['a in (1, 2 )', { a: '3' }, false],
    ['a in (,1)', { a: '' }, true],
    ['a notin (1)', {}, true],
    ['a notin (1)', { a: '1' }, false],
    ['n>1', { n: '2' }, true],
    ['n > 1', { n: '1' }, false],
    ['n<1', { n: 'x' }, false],
    ['n<1', {}, false],
    ['in in (in,notin)', { in: 'notin' }, true],
    ['g in (x,z),n notin (1),!foo,n', { g: 'x', n: '0' }, true],
    ['example.com/a=b', { 'example.com/a': 'b' }, true],
    ['toString', {}, false],
  ];
  for (const [text, labels, expected] of matching) {
    it(`${JSON.stringify(text)} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(labels)}`, () => {
      assert.equal(matchesRequirements(parseLabelSelector(text), labels), expected);
    });
  }

  const wrong: [string, RegExp][] = [
    ['a b', /^unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt$/],
    ['a,', /^found '', expected: identifier after ','$/],
    [',a', /^found ',', expected: !, identifier, or 'end of string'$/],
    ['a in x', /^unable to parse requirement: found 'x' expected: '\('$/],
    ['a in ()', /values set can't be empty$/],
    ['a in (x', /expected: ',' or '\)'$/],
    ['a=b c', /^found 'c', expected: ',' or 'end of string'$/],
    ['!', /found '', expected: identifier$/],
    ['n>x', /the value must be an integer$/],
    ['a=-b', /^unable to parse requirement: values\[0\]\[a\]: Invalid value: "-b": a valid label must be/],
    ['-a=b', /^unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of/],
  ];
  for (const [text, message] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseLabelSelector(text), { name: 'SelectorError', message }));
  }

  it('ends, with requirements or a SelectorError, on any text', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'in', 'notin', '(', ')', ',', '=', '!', '>', ' ', '1', 'b/c')), (parts) => {
        try {
          parseLabelSelector(parts.join(''));
        } catch (error) {
          assert.equal((error as Error).name, 'SelectorError');
        }
      }),
    );
  });
});

describe('matchesLabelSelector()', () => {
  it('needs every label and every expression', () => {
    const selector = {
      matchLabels: { arch: 'amd64' },
      matchExpressions: [
        { key: 'gpu', operator: 'Exists' as const },
        { key: 'zone', operator: 'NotIn' as const, values: ['lab'] },
      ],
    };
    assert.equal(matchesLabelSelector(selector, { arch: 'amd64', gpu: '' }), true);
    assert.equal(matchesLabelSelector(selector, { arch: 'amd64', gpu: '', zone: 'lab' }), false);
    assert.equal(matchesLabelSelector(selector, { gpu: '' }), false);
    assert.equal(matchesLabelSelector({}, undefined), true);
  });
});

describe('parseFieldSelector()', () => {
  it('reads terms, operators and escapes', () => {
    assert.deepEqual(parseFieldSelector('a=b,,c!=d,e==f\\,g\\=h\\\\,i='), [
      { field: 'a', operator: '=', value: 'b' },
      { field: 'c', operator: '!=', value: 'd' },
      { field: 'e', operator: '=', value: 'f,g=h\\' },
      { field: 'i', operator: '=', value: '' },
    ]);
    assert.deepEqual(parseFieldSelector(''), []);
  });

  it('refuses what it cannot understand', () => {
    assert.throws(() => parseFieldSelector('a=b,x'), { message: "invalid selector: 'a=b,x'; can't understand 'x'" });
    assert.throws(() => parseFieldSelector('a=b=c'), { message: 'invalid field selector: unescaped character in value: 61' });
    assert.throws(() => parseFieldSelector('a=\\n'), { message: 'invalid field selector: invalid escape sequence: \\n' });
    assert.throws(() => parseFieldSelector('a=b\\'), { message: 'invalid field selector: invalid escape sequence: \\' });
  });

  it('matches by text', () => {
    const requirements = parseFieldSelector('status.phase=Running,spec.owner!=alan');
    const fields: Record<string, string> = { 'status.phase': 'Running', 'spec.owner': 'toto' };
    assert.equal(
      matchesFieldSelector(requirements, (field) => fields[field] ?? ''),
      true,
    );
    fields['spec.owner'] = 'alan';
    assert.equal(
      matchesFieldSelector(requirements, (field) => fields[field] ?? ''),
      false,
    );
  });
});

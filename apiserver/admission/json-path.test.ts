import assert from 'node:assert/strict';
import { compileJsonPath, simplePath } from './json-path.ts';

describe('compileJsonPath()', () => {
  const object = {
    spec: { a: 1, 'x.y': 'dotted', list: [{ n: 'p', v: 1 }, { n: 'q', v: 2 }, { v: 3 }], toString: undefined },
    status: {
      conditions: [
        { type: 'Ready', status: 'True', message: 'a ] "b"' },
        { type: 'Scheduled', status: 'False' },
      ],
    },
  };
  const found: [string, unknown[]][] = [
    ['.spec.a', [1]],
    ['$.spec.a', [1]],
    ['.spec.missing', []],
    ['.spec.valueOf', []],
    ['.spec.a.b.c', []],
    ["['spec']['a']", [1]],
    ['.spec.x\\.y', ['dotted']],
    ["['spec']['x.y']", ['dotted']],
    ['.spec.list[*].n', ['p', 'q']],
    ['.spec.list[0].n', ['p']],
    ['.spec.list[-1].v', [3]],
    ['.spec.list[9]', []],
    ['.spec.list[0:2].v', [1, 2]],
    ['.spec.list[0,2].v', [1, 3]],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type=='Nope')].status", []],
    ['.status.conditions[?(@.type != "Ready")].type', ['Scheduled']],
    ['.status.conditions[?(@.message=="a ] \\"b\\"")].type', ['Ready']],
    ['.spec.list[?(@.v>1)].v', [2, 3]],
    ['.spec.list[?(@.n)].v', [1, 2]],
    ['..n', ['p', 'q']],
    ['.spec.list.*.v', [1, 2, 3]],
  ];
  for (const [path, values] of found) {
    it(`${path} finds ${JSON.stringify(values)}`, () => assert.deepEqual(compileJsonPath(path)(object), values));
  }

  for (const path of ['spec', '.a[', '.a[b]', '.a[?(@.b==c)]', '.a b', '.a]', '{.a}']) {
    it(`refuses ${path}`, () => assert.throws(() => compileJsonPath(path), { name: 'JsonPathError' }));
  }

  it('tells plain paths from others', () => {
    assert.deepEqual(simplePath('.spec.a'), ['spec', 'a']);
    assert.deepEqual(simplePath(".metadata.labels['a.b/c']"), ['metadata', 'labels', 'a.b/c']);
    for (const path of ['', '.', '.a[0]', '.a[*]', 'a', '.a.']) assert.equal(simplePath(path), undefined, path);
  });
});

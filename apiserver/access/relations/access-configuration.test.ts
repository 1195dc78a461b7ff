import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { UserError } from '../../../api/errors.ts';
import { accessFile, parseAccessConfiguration, readAccessConfiguration } from './access-configuration.ts';
import { compileAccess } from './compile-access.ts';

interface Draft {
  subjects: Record<string, unknown>[];
}

describe('the access configuration', () => {
  let text: string;
  before(async () => {
    text = await readFile(accessFile, 'utf8');
  });

  it('that comes with the server is right, and every rule of it can be found', async () => {
    const types = compileAccess(await readAccessConfiguration());
    assert.deepEqual(
      types.map(({ name }) => name),
      ['provider', 'member', 'join token'],
    );
    const [provider] = types;
    assert.equal(provider?.prefix, '/registry/potluck.dev/providers/');
    // Of a built-in type the group is no part of the key.
    assert.ok(provider.rules.get('coordination.k8s.io/leases')?.every(({ named }) => named));
    assert.ok(provider.rules.has('/events') && provider.rules.has('events.k8s.io/events'));
    assert.deepEqual([...provider.readable.keys()], ['/secrets', '/configmaps']);
    assert.equal(provider.relations.length, 1, 'one relation for instances and their status');
  });

  it('that is not there is named', async () => {
    await assert.rejects(readAccessConfiguration('/nowhere/access.yaml'), (error: UserError) => {
      return error.code === 'PLK010' && error.message.startsWith('/nowhere/access.yaml cannot be read');
    });
  });

  const provider = (draft: Draft): Record<string, unknown> => draft.subjects[0] ?? {};
  const rules = (draft: Draft): Record<string, unknown>[] => provider(draft)['rules'] as Record<string, unknown>[];
  const cases: [what: string, change: (draft: Draft) => void, message: string][] = [
    ['another kind', (draft) => Object.assign(draft, { kind: 'Config' }), 'f: kind must be "AccessConfiguration"'],
    ['no subjects', (draft) => Reflect.deleteProperty(draft, 'subjects'), "f must have required property 'subjects'"],
    ['an unknown field', (draft) => Object.assign(provider(draft), { a: 1 }), 'f: subjects[0] has "a", which is no field'],
    [
      'a prefix without an end',
      (draft) => (provider(draft)['userPrefix'] = 'system:p'),
      'f: subjects[0].userPrefix must match pattern "^[^\\s"]+:$"',
    ],
    [
      'a key that users choose',
      (draft) => (provider(draft)['key'] = 'spec.owner'),
      'f: subjects[0].key must be one of "metadata.uid", "metadata.name"',
    ],
    ['a path that is none', (draft) => (provider(draft)['revoked'] = 'spec..x'), 'f: subjects[0].revoked must match pattern'],
    ['the prototype as a path', (draft) => (provider(draft)['revoked'] = '__proto__.x'), 'f: subjects[0].revoked must match pattern'],
    [
      'a list where one value is meant',
      (draft) => (provider(draft)['revoked'] = 'spec.x[].y'),
      'f: subjects[0].revoked must match pattern',
    ],
    [
      'a verb that is none',
      (draft) => (rules(draft)[0]!['verbs'] = ['*']),
      'f: subjects[0].rules[0].verbs[0] must be one of "get", "list"',
    ],
    ['whole collections', (draft) => (rules(draft)[0]!['verbs'] = ['deletecollection']), 'f: subjects[0].rules[0].verbs[0] must be one of'],
    ['all resources', (draft) => (rules(draft)[0]!['resources'] = ['*']), 'f: subjects[0].rules[0].resources[0] must match pattern'],
    ['no verbs', (draft) => (rules(draft)[0]!['verbs'] = []), 'f: subjects[0].rules[0].verbs must NOT have fewer than 1 items'],
    ['a rule for everything', (draft) => Reflect.deleteProperty(rules(draft)[0]!, 'named'), 'f: subjects[0].rules[0] says no relation'],
    ['a relation that is not', (draft) => (rules(draft)[0]!['named'] = false), 'f: subjects[0].rules[0].named must be true'],
    [
      'names of nothing related',
      (draft) => Reflect.deleteProperty(Object.assign(rules(draft)[2]!, { named: true }), 'where'),
      'f: subjects[0].rules[2].names needs where',
    ],
    [
      'namespaces of nothing',
      (draft) => Object.assign(rules(draft)[0]!, { namespaces: ['a'] }),
      'f: subjects[0].rules[0].namespaces needs namespacesOf',
    ],
    [
      'namespaces of what is not related',
      (draft) => Object.assign(rules(draft)[0]!, { namespacesOf: 'secrets' }),
      'f: subjects[0].rules[0].namespacesOf is "secrets", which no rule',
    ],
    [
      'reading lists of what is named',
      (draft) => ((rules(draft)[2]!['names'] as { verbs: string[] }[])[0]!.verbs = ['list']),
      'f: subjects[0].rules[2].names[0].verbs[0] must be one of "get"',
    ],
    [
      'users that two would stand for',
      (draft) => (draft.subjects[1]!['userPrefix'] = 'system:provider:x:'),
      'f: subjects[1].userPrefix cannot be told from "system:provider:"',
    ],
    [
      'too many subjects',
      (draft) => (draft.subjects = Array.from({ length: 33 }, () => provider(draft))),
      'f: subjects must NOT have more than 32 items',
    ],
  ];
  for (const [what, change, message] of cases) {
    it(`is refused with ${what}`, () => {
      const draft = parse(text) as Draft;
      change(draft);
      assert.throws(
        () => parseAccessConfiguration(stringify(draft, { aliasDuplicateObjects: false }), 'f'),
        (error: UserError) => error instanceof UserError && error.code === 'PLK010' && error.message.startsWith(message),
        message,
      );
    });
  }

  it('is refused when it is no YAML, or more than it seems', () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefgh'.split('').map((key, index) => `${key}: &${key} [${`*${'abcdefgh'[index]}, `.repeat(9)}]`),
    ];
    for (const hostile of [
      '',
      '{',
      'a: [',
      '--- {}\n--- {}',
      'null',
      '[]',
      '!!js/function x',
      bomb.join('\n'),
      `# ${'x'.repeat(1024 * 1024)}\n${text}`,
      '{"__proto__": {"kind": "AccessConfiguration"}}',
    ]) {
      assert.throws(
        () => parseAccessConfiguration(hostile, 'f'),
        (error: UserError) => error instanceof UserError && error.message.startsWith('f'),
        hostile.slice(0, 40),
      );
    }
  });
});

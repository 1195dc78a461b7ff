import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../runtime/logger.ts';
import type { RequestInfo } from '../request-info.ts';
import { AuditLog } from './audit-log.ts';
import { chooseLevel, parseAuditPolicy } from './audit-policy.ts';

const header = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n';
const ann = { name: 'ann', groups: ['staff'] };

function on(
  verb: 'get' | 'list' | 'create',
  resource: string,
  rest: { group?: string; namespace?: string; name?: string } = {},
): RequestInfo {
  const [name = '', subresource] = resource.split('/');
  return {
    kind: 'resource',
    verb,
    version: 'v1',
    group: '',
    resource: name,
    ...(subresource === undefined ? {} : { subresource }),
    ...rest,
  };
}

describe('an audit policy', () => {
  const levelOf = (rules: string, info: RequestInfo): string =>
    chooseLevel(parseAuditPolicy(`${header}rules:\n${rules}`, 'p.yaml'), info, ann).level;

  it('is the level of the first rule that fits, and None without one', () => {
    const rules = [
      '- { level: None, verbs: [get], users: [ann], resources: [{ group: "", resources: [configmaps] }] }',
      '- { level: Request, userGroups: [staff], namespaces: [red] }',
      '- { level: Metadata, nonResourceURLs: ["/api*"] }',
      '- { level: RequestResponse, resources: [{ group: potluck.dev, resources: ["*/status"] }, { group: potluck.dev, resources: [providers], resourceNames: [one] }] }',
    ].join('\n');
    const potluck = { group: 'potluck.dev' };
    const cases: [RequestInfo, string][] = [
      [on('get', 'configmaps', { namespace: 'red', name: 'a' }), 'None'],
      [on('list', 'configmaps', { namespace: 'red' }), 'Request'],
      [on('list', 'configmaps', { namespace: 'blue' }), 'None'],
      [{ kind: 'path', verb: 'get', path: '/apis' }, 'Metadata'],
      [{ kind: 'path', verb: 'get', path: '/metrics' }, 'None'],
      [on('get', 'instances/status', { ...potluck, namespace: 'blue' }), 'RequestResponse'],
      [on('get', 'instances', { ...potluck, namespace: 'blue' }), 'None'],
      [on('get', 'providers', { ...potluck, name: 'one' }), 'RequestResponse'],
      [on('get', 'providers', { ...potluck, name: 'two' }), 'None'],
    ];
    for (const [info, level] of cases) assert.equal(levelOf(rules, info), level, JSON.stringify(info));
  });

  it('never has the bodies of secrets and tokens', () => {
    const all = '- { level: RequestResponse }';
    assert.equal(levelOf(all, on('get', 'configmaps')), 'RequestResponse');
    for (const resource of ['secrets', 'serviceaccounts/token']) assert.equal(levelOf(all, on('create', resource)), 'Metadata', resource);
    assert.equal(levelOf(all, on('create', 'tokenreviews', { group: 'authentication.k8s.io' })), 'Metadata');
    assert.equal(levelOf('- { level: None }', on('get', 'secrets')), 'None');
  });

  const refusals: [string, RegExp][] = [
    ['kind: Other', /p\.yaml: it is no Policy/u],
    [`${header}rules: []`, /rules: there are none/u],
    [`${header}rules: [{ level: Loud }]`, /rules\[0\]\.level: must be one of None, Metadata, Request, RequestResponse/u],
    [`${header}rules: [{ level: None, users: ann }]`, /rules\[0\]\.users: must be a list of texts/u],
    [`${header}omitStages: [Soon]\nrules: [{ level: None }]`, /omitStages: must be of RequestReceived/u],
    [
      `${header}rules: [{ level: None, namespaces: [a], nonResourceURLs: [/x] }]`,
      /rules\[0\]\.nonResourceURLs: rules cannot apply to both/u,
    ],
    ['a: [', /p\.yaml: /u],
  ];
  for (const [text, message] of refusals) {
    it(`is refused where ${String(message)}`, () => assert.throws(() => parseAuditPolicy(text, 'p.yaml'), { message }));
  }
});

describe('AuditLog', () => {
  it('puts a full file aside, keeps as many as it may, and loses no line of those', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'potluck-audit-'));
    const path = join(folder, 'audit.log');
    try {
      let ms = 0;
      const open = (): AuditLog => new AuditLog({ path, maxBytes: 100, maxBackups: 2, logger: silentLogger, nowMs: () => (ms += 1000) });
      let log = open();
      for (let index = 0; index < 50; index += 1) log.write({ index, pad: 'x'.repeat(20) });
      log.close();
      // What is there already counts.
      log = open();
      log.write({ index: 50, pad: 'x'.repeat(20) });
      log.close();
      const names = (await readdir(folder)).sort();
      assert.equal(names.length, 3);
      const texts = await Promise.all([...names.slice(0, 2), 'audit.log'].map((name) => readFile(join(folder, name), 'utf8')));
      assert.ok(texts.every((text) => text.length <= 100 && text.length > 0));
      const lines = texts.join('').trim().split('\n');
      const seen = lines.map((line) => (JSON.parse(line) as { index: number }).index);
      assert.deepEqual(
        seen,
        Array.from({ length: seen.length }, (_, index) => 51 - seen.length + index),
      );
      assert.equal((await stat(path)).mode & 0o77, 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

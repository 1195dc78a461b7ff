import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../admission/json-value.ts';
import { readAccessConfiguration } from './access-configuration.ts';
import { compileAccess } from './compile-access.ts';
import { jointokensPrefix } from './relation-fixtures.ts';
import { RelationIndex } from './relation-index.ts';
import { SubjectTokens, type AcceptedToken } from './subject-tokens.ts';
import type { ResourceAttributes } from '../authorize.ts';

const nowMs = Date.parse('2030-01-01T00:00:00Z');
const secret = 'abcdefghijklmnopqrstuvwxyz';

describe('SubjectTokens', () => {
  let index: RelationIndex;
  let tokens: SubjectTokens;

  beforeEach(async () => {
    index = new RelationIndex(compileAccess(await readAccessConfiguration()), () => undefined);
    tokens = new SubjectTokens(index);
  });

  function put(
    name: string,
    { spec = {}, status = {}, metadata = {} }: { spec?: JsonObject; status?: JsonObject; metadata?: JsonObject } = {},
  ): void {
    const secretHash = createHash('sha256').update(secret).digest('hex');
    const full = { owner: 'ann', secretHash, expirationTimestamp: '2030-01-01T00:15:00Z', uses: 1, ...spec };
    const object = { apiVersion: 'potluck.dev/v1alpha1', kind: 'JoinToken', metadata: { name, uid: 'u', ...metadata }, spec: full, status };
    index.put(jointokensPrefix, undefined, name, object);
  }
  function judge(text: string, atMs = nowMs): AcceptedToken | undefined {
    const read = tokens.read(text);
    assert.ok(read, 'it is one of ours');
    return tokens.judge(read, atMs);
  }

  it('accepts what is there, right, in time and unspent', () => {
    put('aaaaaaaa');
    assert.equal(judge(`plk1.aaaaaaaa.${secret}`)?.subject.name, 'aaaaaaaa');
    assert.equal(judge(`plk1.aaaaaaaa.${secret}`)?.allowsOnly, undefined);
  });

  it('refuses everything else', () => {
    put('aaaaaaaa');
    put('expired1', { spec: { expirationTimestamp: '2029-12-31T23:59:59Z' } });
    put('never111', { spec: { expirationTimestamp: 'soon' } });
    put('deleting', { metadata: { deletionTimestamp: '2029-12-31T23:59:59Z' } });
    put('nohash11', { spec: { secretHash: '' } });
    put('nohash22', { spec: { secretHash: 7 } });
    for (const text of [
      'plk1.',
      'plk1.aaaaaaaa',
      'plk1.aaaaaaaa.',
      `plk1.aaaaaaaa.${secret.toUpperCase()}`,
      `plk1.aaaaaaaa.${secret}.`,
      `plk1.aaaaaaaa.${secret}.x`,
      `plk1.unknown1.${secret}`,
      `plk1.expired1.${secret}`,
      `plk1.never111.${secret}`,
      `plk1.deleting.${secret}`,
      `plk1.nohash11.${secret}`,
      `plk1.nohash22.${secret}`,
      `plk1.__proto__.${secret}`,
    ]) {
      assert.equal(judge(text), undefined, text);
    }
    assert.equal(judge(`plk1.aaaaaaaa.${secret}`, Date.parse('2030-01-01T00:15:00Z')), undefined, 'from its end on');
    assert.equal(tokens.read('eyJhbGciOi.x.y'), undefined, 'another kind of token');
    assert.equal(tokens.read('plk11.a.b'), undefined);
  });

  it('lets a spent token read what its claims name, and nothing else', () => {
    put('spent111', { status: { claims: [{ request: 'join-spent111-a' }, { request: 7 }] } });
    const accepted = judge(`plk1.spent111.${secret}`);
    assert.ok(accepted?.allowsOnly);
    const asks = (
      verb: string,
      name: string | undefined,
      resource = 'certificatesigningrequests',
      subresource?: string,
    ): ResourceAttributes => ({
      kind: 'resource',
      verb,
      group: 'certificates.k8s.io',
      resource,
      ...(name === undefined ? {} : { name }),
      ...(subresource === undefined ? {} : { subresource }),
    });
    assert.ok(accepted.allowsOnly(asks('get', 'join-spent111-a')));
    assert.ok(accepted.allowsOnly(asks('watch', 'join-spent111-a')));
    assert.ok(!accepted.allowsOnly(asks('get', 'join-spent111-b')));
    assert.ok(!accepted.allowsOnly(asks('list', undefined)));
    assert.ok(!accepted.allowsOnly(asks('create', undefined)));
    assert.ok(!accepted.allowsOnly(asks('delete', 'join-spent111-a')));
    assert.ok(!accepted.allowsOnly(asks('get', 'join-spent111-a', 'secrets')));
    assert.ok(!accepted.allowsOnly(asks('get', 'join-spent111-a', 'certificatesigningrequests', 'status')));
    put('twice111', { spec: { uses: 2 }, status: { claims: [{ request: 'a' }] } });
    assert.equal(judge(`plk1.twice111.${secret}`)?.allowsOnly, undefined);
  });
});

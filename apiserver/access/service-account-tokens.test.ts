import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { openTokenKey, signToken, tokenIssuer, verifyToken, type TokenKey } from './service-account-tokens.ts';

const subject = { namespace: 'red', serviceAccount: { name: 'bot', uid: 'u1' } };
const terms = { audiences: [tokenIssuer], issuedAt: 1_000, expiresAt: 4_600 };

describe('tokens of ServiceAccounts', () => {
  let directory: string;
  let key: TokenKey;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-token-'));
    key = await openTokenKey(directory);
  });
  after(() => rm(directory, { recursive: true }));

  it('say what was signed', async () => {
    const verified = await verifyToken(key, await signToken(key, { ...subject, secret: { name: 's', uid: 'u2' } }, terms));
    assert.deepEqual(verified?.subject, { ...subject, secret: { name: 's', uid: 'u2' } });
    assert.equal(verified.user.name, 'system:serviceaccount:red:bot');
    assert.deepEqual(verified.user.groups, ['system:serviceaccounts', 'system:serviceaccounts:red', 'system:authenticated']);
    assert.deepEqual([verified.notBeforeMs, verified.notAfterMs], [1_000_000, 4_600_000]);
  });

  it('are nobody’s when another key, another issuer, no key or another subject signed them', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.equal(await verifyToken(key, await signToken({ ...key, privateKey }, subject, terms)), undefined);
    const token = await signToken(key, subject, terms);
    const [head = '', body = '', signature = ''] = token.split('.');
    const other = Buffer.from(Buffer.from(body, 'base64url').toString().replace('u1', 'u9')).toString('base64url');
    assert.equal(await verifyToken(key, `${head}.${other}.${signature}`), undefined);
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    assert.equal(await verifyToken(key, `${none}.${body}.`), undefined);
    assert.equal(await verifyToken(key, 'guessed'), undefined);
    const sign = (issuer: string, sub: string): Promise<string> =>
      new SignJWT({ 'kubernetes.io': { namespace: 'red', serviceaccount: { name: 'bot', uid: 'u1' } } })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(issuer)
        .setSubject(sub)
        .setAudience(tokenIssuer)
        .setExpirationTime(4_600)
        .sign(key.privateKey);
    assert.equal(await verifyToken(key, await sign('https://elsewhere', 'system:serviceaccount:red:bot')), undefined);
    assert.equal(await verifyToken(key, await sign(tokenIssuer, 'system:serviceaccount:red:root')), undefined);
    assert.notEqual(await verifyToken(key, await sign(tokenIssuer, 'system:serviceaccount:red:bot')), undefined);
  });

  it('are signed with a key that is kept, and that only its owner can read', async () => {
    assert.equal((await openTokenKey(directory)).id, key.id);
    const path = join(directory, 'service-account.key');
    assert.equal((await stat(path)).mode & 0o77, 0);
    const pem = await readFile(path);
    await writeFile(path, 'nonsense');
    await assert.rejects(openTokenKey(directory), { message: /service-account\.key is damaged/u });
    await writeFile(path, pem);
  });
});

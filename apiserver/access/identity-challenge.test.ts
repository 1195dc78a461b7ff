import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { IdentityChallenges, readIdentityHeader, type IdentityClaim, type SignedRequest } from './identity-challenge.ts';
import { openTokenKey } from './service-account-tokens.ts';

const nowMs = Date.parse('2030-01-01T00:00:00Z');
const request: SignedRequest = { method: 'POST', target: '/apis/certificates.k8s.io/v1/certificatesigningrequests?dryRun=All' };

interface Machine {
  key: string;
  privateKey: KeyObject;
}

function machine(): Machine {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { key: String(publicKey.export({ format: 'jwk' }).x), privateKey };
}

function answer({ key, privateKey }: Machine, challenge: string, { method, target }: SignedRequest = request): IdentityClaim {
  const text = `potluck-identity-v1\n${challenge}\n${method} ${target}`;
  return { key, answer: { challenge, signature: sign(null, Buffer.from(text), privateKey).toString('base64url') } };
}

describe('IdentityChallenges', () => {
  const directories: string[] = [];
  async function open(directory?: string): Promise<IdentityChallenges> {
    const place = directory ?? (await mkdtemp(join(tmpdir(), 'potluck-challenge-')));
    if (directory === undefined) directories.push(place);
    return new IdentityChallenges(await openTokenKey(place));
  }
  after(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))));

  let challenges: IdentityChallenges;
  const desk = machine();
  const lap = machine();
  before(async () => {
    challenges = await open();
  });

  it('take the answer of the key that asked, for sixty seconds', () => {
    const claim = answer(desk, challenges.issue(desk.key, nowMs));
    assert.ok(challenges.holds(claim, request, nowMs));
    assert.ok(challenges.holds(claim, request, nowMs + 60_000));
    assert.ok(!challenges.holds(claim, request, nowMs + 60_001));
    assert.ok(!challenges.holds(claim, request, nowMs - 60_000), 'made in the future');
  });

  it('take no other key, request, challenge or signature', () => {
    const challenge = challenges.issue(desk.key, nowMs);
    const good = answer(desk, challenge);
    assert.ok(good.answer);
    const signature = good.answer.signature;
    const wrong: [IdentityClaim, SignedRequest][] = [
      [good, { ...request, method: 'GET' }],
      [good, { ...request, target: request.target.replace('?dryRun=All', '') }],
      [answer(lap, challenge), request],
      [{ key: desk.key, answer: { challenge, signature: answer(lap, challenge).answer!.signature } }, request],
      [{ key: lap.key, answer: good.answer }, request],
      [{ key: desk.key }, request],
      [{ key: desk.key, answer: { challenge, signature: signature.slice(1) } }, request],
      [{ key: desk.key, answer: { challenge, signature: '' } }, request],
      [answer(desk, challenge.replace(/^\d+/u, String(nowMs + 1))), request],
      [answer(desk, challenge.slice(0, -1)), request],
      [answer(desk, ''), request],
      [answer(desk, 'a.b.c'), request],
    ];
    for (const [claim, asked] of wrong) assert.ok(!challenges.holds(claim, asked, nowMs), JSON.stringify([claim, asked]));
  });

  it('are the same for servers that share the key, and for no others', async () => {
    const [directory = ''] = directories;
    const claim = answer(desk, challenges.issue(desk.key, nowMs));
    assert.ok((await open(directory)).holds(claim, request, nowMs));
    assert.ok(!(await open()).holds(claim, request, nowMs));
  });

  it('are never the same twice', () => {
    assert.notEqual(challenges.issue(desk.key, nowMs), challenges.issue(desk.key, nowMs));
  });
});

describe('readIdentityHeader()', () => {
  const { key } = machine();

  it('reads what was defined, in any order', () => {
    assert.deepEqual(readIdentityHeader(`Potluck-Identity key="${key}"`), { key });
    assert.deepEqual(readIdentityHeader(`potluck-identity signature="s", challenge="1.c.m" , key="${key}"`), {
      key,
      answer: { challenge: '1.c.m', signature: 's' },
    });
    assert.equal(readIdentityHeader('Bearer x'), undefined);
    assert.equal(readIdentityHeader('Potluck-Identity2 x'), undefined);
  });

  it('refuses the rest', () => {
    for (const rest of [
      '',
      'key=""',
      'key="short"',
      `key=${key}`,
      `key="${key}", key="${key}"`,
      `key="${key}", challenge="x"`,
      `key="${key}", signature="x"`,
      `key="${key}", more="x"`,
      `key="${key.slice(0, 42)}_"`,
      `key="${key}" challenge="x" signature="y"`,
      `key="${key}", challenge="${'x'.repeat(1024)}", signature="y"`,
    ]) {
      // The last character of a key has spare bits; only one spelling counts.
      if (rest === `key="${key.slice(0, 42)}_"` && key.endsWith('_')) continue;
      assert.equal(readIdentityHeader(`Potluck-Identity ${rest}`), 'malformed', rest);
    }
  });

  it('survives whatever comes', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void readIdentityHeader(`Potluck-Identity ${text}`)));
  });
});

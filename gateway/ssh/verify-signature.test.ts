import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isSignedBy } from './verify-signature.ts';

const message = Buffer.from('what was signed');

const field = (content: string | Buffer): Buffer => {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const line = (type: string, ...fields: Buffer[]): string =>
  `${type} ${Buffer.concat([field(type), ...fields.map(field)]).toString('base64')}`;
const jwk = (key: KeyObject): Record<string, string> => key.export({ format: 'jwk' }) as Record<string, string>;
const bytes = (text = ''): Buffer => Buffer.from(text, 'base64url');

const ed25519 = generateKeyPairSync('ed25519');
const ed25519Line = line('ssh-ed25519', bytes(jwk(ed25519.publicKey)['x']));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsaLine = line('ssh-rsa', bytes(jwk(rsa.publicKey)['e']), Buffer.concat([Buffer.from([0]), bytes(jwk(rsa.publicKey)['n'])]));
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const point = Buffer.concat([Buffer.from([4]), bytes(jwk(ec.publicKey)['x']), bytes(jwk(ec.publicKey)['y'])]);
const ecLine = line('ecdsa-sha2-nistp256', Buffer.from('nistp256'), point);
const check = (key: string, signature: Buffer, hash?: string): boolean => isSignedBy({ key, message, signature, hash });

describe('isSignedBy()', () => {
  it('takes what each type of key signed, and no other message', () => {
    const all: [string, Buffer, string | undefined][] = [
      [ed25519Line, sign(null, message, ed25519.privateKey), undefined],
      [rsaLine, sign('sha256', message, rsa.privateKey), 'sha256'],
      [rsaLine, sign('sha512', message, rsa.privateKey), 'sha512'],
      [ecLine, sign('sha256', message, ec.privateKey), undefined],
    ];
    for (const [key, signature, hash] of all) {
      assert.equal(check(key, signature, hash), true, key);
      assert.equal(isSignedBy({ key, message: Buffer.from('another'), signature, hash }), false, key);
    }
  });

  it('takes no SHA-1, and no hash but that which was used', () => {
    assert.equal(check(rsaLine, sign('sha1', message, rsa.privateKey)), false);
    assert.equal(check(rsaLine, sign('sha1', message, rsa.privateKey), 'sha1'), false);
    assert.equal(check(rsaLine, sign('sha256', message, rsa.privateKey), 'sha512'), false);
  });

  it('takes nothing that another key signed, under any name', () => {
    const foreign = sign('sha256', message, rsa.privateKey);
    for (const key of [
      ed25519Line,
      ecLine,
      ed25519Line.replace('ssh-ed25519', 'ssh-rsa'),
      `ssh-rsa ${ed25519Line.split(' ')[1] ?? ''}`,
      'ssh-dss AAAA',
      '',
    ])
      for (const hash of [undefined, 'sha256', 'sha512']) assert.equal(check(key, foreign, hash), false, key);
  });

  it('takes signatures of security keys that somebody touched', () => {
    const application = Buffer.from('ssh:');
    const digest = (content: Buffer): Buffer => createHash('sha256').update(content).digest();
    const signed = (flags: number): [Buffer, Buffer] => {
      const suffix = Buffer.from([flags, 0, 0, 0, 9]);
      return [suffix, Buffer.concat([digest(application), suffix, digest(message)])];
    };
    const skEd = line('sk-ssh-ed25519@openssh.com', bytes(jwk(ed25519.publicKey)['x']), application);
    const skEc = line('sk-ecdsa-sha2-nistp256@openssh.com', Buffer.from('nistp256'), point, application);
    for (const [flags, isTaken] of [
      [1, true],
      [0, false],
    ] as const) {
      const [suffix, data] = signed(flags);
      assert.equal(check(skEd, Buffer.concat([sign(null, data, ed25519.privateKey), suffix])), isTaken);
      const raw = sign('sha256', data, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
      const number = (part: Buffer): Buffer => field(Buffer.concat([Buffer.from([0]), part]));
      assert.equal(check(skEc, Buffer.concat([number(raw.subarray(0, 32)), number(raw.subarray(32)), suffix])), isTaken);
    }
    assert.equal(check(skEd, sign(null, message, ed25519.privateKey)), false);
  });

  it('never throws', () => {
    for (const key of ['ssh-ed25519', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5', 'ssh-rsa AAAAB3NzaC1yc2E=', 'ecdsa-sha2-nistp256 AAAA'])
      assert.equal(check(key, Buffer.alloc(0)), false);
  });
});

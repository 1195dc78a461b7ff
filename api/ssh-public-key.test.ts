import assert from 'node:assert/strict';
import fc from 'fast-check';
import { curvePoint, rsaExponent, rsaModulus, sshLine, sshLines } from './ssh-key-fixtures.ts';
import { parseSshPublicKey, sshFingerprint, sshKeyTypes } from './ssh-public-key.ts';

const key32 = new Uint8Array(32);

describe('parseSshPublicKey()', () => {
  it('reads every type, with its bits and its comment', () => {
    const bits = Object.fromEntries(sshKeyTypes.map((type) => [type, parseSshPublicKey(`${sshLines[type]} toto@laptop at home`)]));
    for (const type of sshKeyTypes) assert.equal(bits[type]?.key?.comment, 'toto@laptop at home', type);
    assert.deepEqual(
      Object.values(bits).map(({ key }) => [key?.type, key?.bits]),
      [
        ['ssh-ed25519', 256],
        ['ssh-rsa', 2048],
        ['ecdsa-sha2-nistp256', 256],
        ['ecdsa-sha2-nistp384', 384],
        ['ecdsa-sha2-nistp521', 521],
        ['sk-ssh-ed25519@openssh.com', 256],
        ['sk-ecdsa-sha2-nistp256@openssh.com', 256],
      ],
    );
    assert.equal(parseSshPublicKey(sshLines['ssh-ed25519']).key?.comment, '');
  });

  const long = rsaModulus(2048);
  const wrong: [what: string, line: string, problem: RegExp][] = [
    ['nothing', '', /begin with one of ssh-ed25519/],
    ['options before the type', `no-pty ${sshLines['ssh-ed25519']}`, /without options/],
    ['DSA', 'ssh-dss AAAAB3NzaC1kc3M=', /begin with one of/],
    ['a certificate', sshLine('ssh-ed25519-cert-v01@openssh.com', key32), /begin with one of/],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----', /private key/],
    ['two lines', `${sshLines['ssh-ed25519']}\n${sshLines['ssh-ed25519']}`, /one line/],
    ['a type alone', 'ssh-ed25519', /the key in base64/],
    ['two spaces', sshLines['ssh-ed25519'].replace(' ', '  '), /one space/],
    ['no base64', 'ssh-ed25519 AAAA*AAA', /in base64/],
    ['base64 that ends in stray bits', sshLines['ecdsa-sha2-nistp256'].replace(/.=$/, 'b='), /in base64/],
    ['another type in the blob', sshLines['ssh-ed25519'].replace('ssh-ed25519', 'ssh-rsa'), /is no ssh-rsa key/],
    ['a cut key', sshLine('ssh-ed25519'), /cut off/],
    ['a short key', sshLine('ssh-ed25519', new Uint8Array(31)), /32 bytes/],
    ['something after the key', sshLine('ssh-ed25519', key32, 'more'), /something follows/],
    ['another curve', sshLine('ecdsa-sha2-nistp256', 'nistp384', curvePoint(48)), /another curve/],
    ['a compressed point', sshLine('ecdsa-sha2-nistp256', 'nistp256', Uint8Array.of(2, ...key32)), /no point/],
    ['a security key without application', sshLine('sk-ssh-ed25519@openssh.com', key32, ''), /application/],
    ['1024 bits of RSA', sshLine('ssh-rsa', rsaExponent, rsaModulus(1024)), /at least 2048 bits, and this one has 1024/],
    ['2047 bits of RSA', sshLine('ssh-rsa', rsaExponent, Uint8Array.of(0x7f, ...long.slice(2))), /has 2047/],
    ['32768 bits of RSA', sshLine('ssh-rsa', rsaExponent, rsaModulus(32_768)), /at most 16384/],
    ['a padded RSA number', sshLine('ssh-rsa', rsaExponent, Uint8Array.of(0, ...long)), /not written as SSH writes it/],
    ['a huge exponent', sshLine('ssh-rsa', Uint8Array.of(1, 2, 3, 4, 5, 6), long), /exponent/],
  ];
  for (const [what, line, problem] of wrong) {
    it(`refuses ${what}`, () => {
      assert.match(parseSshPublicKey(line).problem ?? 'none', problem);
    });
  }

  it('reads what it is given to the byte, and gives the comment back', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const comment = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/[\p{Cc}]/u.test(text));
    fc.assert(
      fc.property(bytes, comment, (random, text) => {
        const line = sshLine('ssh-ed25519', random);
        const { key } = parseSshPublicKey(text === '' ? line : `${line} ${text}`);
        assert.deepEqual([key?.comment, key?.blob.slice(-32)], [text, random]);
      }),
    );
  });

  it('answers for any text, and takes none that was changed in its base64 beyond the key itself', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseSshPublicKey(text).key === undefined));
    const type = fc.constantFrom(...sshKeyTypes);
    fc.assert(
      fc.property(type, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, flip) => {
        const { blob } = parseSshPublicKey(sshLines[one]).key ?? {};
        assert.ok(blob);
        const head = one.length + 4;
        blob[at % head]! ^= flip;
        const changed = `${one} ${Buffer.from(blob).toString('base64')}`;
        assert.notEqual(parseSshPublicKey(changed).problem, undefined);
        assert.notEqual(parseSshPublicKey(sshLines[one].slice(0, -1 - (at % 40))).problem, undefined);
      }),
    );
  });
});

describe('sshFingerprint()', () => {
  it('is the base64 of the hash without its padding', () => {
    assert.equal(sshFingerprint('AAAA/+8='), 'SHA256:AAAA/+8');
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { createCertificateRequest, requestPem } from './certificate-request.ts';
import { derBitString, derObjectIdentifier, derSequence, derSmallInteger, derUtf8String } from './der.ts';

/** Standard output; some versions end with 0 whatever they find, and say it on standard error. */
function openssl(input: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input, encoding: 'utf8' });
  if (status !== 0 || /failure|error/i.test(stderr)) throw new Error(stderr);
  return stdout;
}

describe('a certificate request', () => {
  it('is one for openssl: its subject, its P-256 key, its signature', async () => {
    const { der, keyPem } = await createCertificateRequest('system:provider:0d9e7a3c-é');
    const text = openssl(requestPem(der), 'req', '-verify', '-noout', '-text', '-nameopt', 'utf8,sep_comma_plus');
    assert.match(text, /Version: 1 \(0x0\)/);
    assert.match(text, /Subject: CN=system:provider:0d9e7a3c-é\n/);
    assert.match(text, /ASN1 OID: prime256v1/);
    assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
    const inRequest = openssl(requestPem(der), 'req', '-noout', '-pubkey');
    assert.equal(inRequest, createPublicKey(createPrivateKey(keyPem)).export({ type: 'spki', format: 'pem' }));
    assert.match(keyPem, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.ok(der.length < 4096);
  });

  it('is not believed when a byte of it was changed', async () => {
    const { der } = await createCertificateRequest('machine');
    const at = der.indexOf('machine');
    der[at] = 'M'.charCodeAt(0);
    assert.throws(() => openssl(requestPem(der), 'req', '-verify', '-noout'), /verify failure/);
  });

  it('has another key each time', async () => {
    const [one, two] = await Promise.all([createCertificateRequest('a'), createCertificateRequest('a')]);
    assert.notEqual(one.keyPem, two.keyPem);
  });
});

describe('DER', () => {
  it('has lengths in the fewest bytes, as openssl reads them back', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 127, 128, 255, 256, 65_535, 65_536), (length) => {
        const encoded = derUtf8String('a'.repeat(length));
        const lengthBytes = length < 128 ? 1 : length < 256 ? 2 : length < 65_536 ? 3 : 4;
        assert.equal(encoded.length, 1 + lengthBytes + length);
      }),
    );
    assert.equal(derUtf8String('a'.repeat(300)).subarray(0, 4).toString('hex'), '0c82012c');
  });

  it('writes object identifiers, integers, bits and sequences as X.690 says', () => {
    assert.equal(derObjectIdentifier('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302');
    assert.equal(derObjectIdentifier('2.5.4.3').toString('hex'), '0603550403');
    assert.equal(derSmallInteger(0).toString('hex'), '020100');
    assert.equal(derBitString(Buffer.from([0xff])).toString('hex'), '030200ff');
    assert.equal(derSequence(derSmallInteger(1), derSmallInteger(2)).toString('hex'), '3006020101020102');
  });
});

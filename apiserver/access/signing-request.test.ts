import assert from 'node:assert/strict';
import './reflect-metadata.ts';
import * as x509 from '@peculiar/x509';
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { createAuthority, newPrivateKey, signPublicKey, type KeyAndCertificate } from './certificates.ts';
import { makeRequest, type KeyKind, type RequestOptions } from './request-fixtures.ts';
import { readSigningRequest, unfitKeyProblem, type SigningRequest } from './signing-request.ts';

const jane = [
  { type: 'O', value: 'a' },
  { type: 'O', value: 'b' },
  { type: 'CN', value: 'x' },
];

function requestOf(options: RequestOptions = {}): Buffer {
  return toPem(makeRequest({ subject: jane, ...options }).der);
}

function toPem(der: Uint8Array, type = 'CERTIFICATE REQUEST'): Buffer {
  return Buffer.from(`-----BEGIN ${type}-----\n${Buffer.from(der).toString('base64')}\n-----END ${type}-----\n`);
}

function read(pem: Buffer): SigningRequest {
  const { request, problem } = readSigningRequest(pem);
  assert.ok(request, problem);
  return request;
}

describe('readSigningRequest()', function () {
  this.timeout(20_000);
  const kinds: [kind: KeyKind, unfit: RegExp | undefined][] = [
    ['P-256', undefined],
    ['P-384', undefined],
    ['P-521', /must be on P-256 or P-384, and this one is on secp521r1/u],
    ['P-192', /on prime192v1/u],
    ['Ed25519', undefined],
    ['RSA-2048', undefined],
    ['RSA-1024', /at least 2048 bits, and this one has 1024/u],
  ];

  for (const [kind, unfit] of kinds) {
    it(`reads ${kind}, and says whether a certificate can be for it`, () => {
      const { publicKey, subject } = read(requestOf({ kind }));
      assert.deepEqual(subject, jane);
      const problem = unfitKeyProblem(publicKey);
      if (unfit === undefined) assert.equal(problem, undefined);
      else assert.match(problem ?? '', unfit);
    });
  }

  it('finds every group, also those that stand in one part of the name', () => {
    const { subject } = read(requestOf({ isOnePart: true, subject: [...jane, { type: 'O', value: 'system:masters' }] }));
    assert.ok(subject.some(({ type, value }) => type === 'O' && value === 'system:masters'));
  });

  it('refuses other blocks, bytes that follow, and what is too long', () => {
    const pem = requestOf();
    const { der } = read(pem);
    assert.deepEqual(read(Buffer.concat([Buffer.from('Subject: x\n'), pem])).der, der, 'text around it does not count');
    assert.match(readSigningRequest(toPem(der, 'CERTIFICATE')).problem ?? '', /^PEM block type must be CERTIFICATE REQUEST$/u);
    assert.match(readSigningRequest(Buffer.from('')).problem ?? '', /^PEM block type must be CERTIFICATE REQUEST$/u);
    assert.match(readSigningRequest(toPem(Buffer.concat([der, Buffer.of(0)]))).problem ?? '', /malformed/u);
    assert.match(readSigningRequest(Buffer.alloc(1_000_000, 'A')).problem ?? '', /at most 65536 bytes/u);
  });

  it('believes nothing that its signature does not cover', () => {
    const { der } = read(requestOf());
    const headerBytes = 3;
    const signedBytes = headerBytes + (der[headerBytes + 1] ?? 0);
    for (let index = headerBytes; index < signedBytes; index += 1) {
      const forged = Buffer.from(der);
      forged[index]! ^= 0x01;
      assert.ok(readSigningRequest(toPem(forged)).problem, `byte ${index}`);
    }
  });

  it('answers garbage in bounded time, and never throws', () => {
    const { der } = read(requestOf());
    const change = fc.record({ at: fc.nat(der.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const changed = Buffer.from(der);
        for (const { at, byte } of changes) changed[at] = byte;
        readSigningRequest(toPem(changed));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => readSigningRequest(toPem(bytes)).problem !== undefined));
    const startedAt = performance.now();
    const deep = Buffer.alloc(40_000, 0x30);
    const nested = Buffer.concat([
      Buffer.from([0x30, 0x82, 0x9c, 0x40]),
      ...Array.from({ length: 10_000 }, (_, n) => Buffer.from([0x30, 0x82, (40_000 - 4 * n - 4) >> 8, (40_000 - 4 * n - 4) & 255])),
    ]);
    const many = Buffer.concat([Buffer.from([0x30, 0x82, 0x9c, 0x40]), Buffer.alloc(40_000, Buffer.from([0x05, 0x00]))]);
    for (const bytes of [deep, nested, many]) assert.ok(readSigningRequest(toPem(bytes)).problem);
    assert.ok(performance.now() - startedAt < 3_000);
  });
});

describe('signPublicKey()', function () {
  this.timeout(20_000);
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  const dayMs = 86_400_000;
  const client = (pem: Buffer, keyEncipherment = false): Parameters<typeof signPublicKey>[1] => ({
    publicKey: read(pem).publicKey,
    subject: [
      { type: 'O', value: 'devs, CN=root' },
      { type: 'CN', value: 'jane/O=system:masters' },
    ],
    keyEncipherment,
  });

  async function authority(lifetimeMs = 3650 * dayMs): Promise<KeyAndCertificate> {
    const keyPem = await newPrivateKey();
    return { keyPem, certPem: await createAuthority(keyPem, 'potluck-ca', { nowMs, lifetimeMs }) };
  }

  it('takes nothing of the request but its key', async () => {
    const ca = await authority();
    const pem = requestOf({ kind: 'P-384', subject: [{ type: 'O', value: 'system:masters' }], isGreedy: true });
    const text = await signPublicKey(ca, client(pem), { nowMs, lifetimeMs: dayMs });
    const certificate = new X509Certificate(text);
    assert.deepEqual(
      { ...certificate.toLegacyObject().subject },
      { O: 'devs, CN=root', CN: 'jane/O=system:masters' },
      'no character ends a name',
    );
    assert.deepEqual([certificate.ca, certificate.subjectAltName, certificate.keyUsage], [false, undefined, ['1.3.6.1.5.5.7.3.2']]);
    assert.equal(certificate.validFromDate.toISOString(), '2025-12-31T23:00:00.000Z');
    assert.equal(certificate.validToDate.toISOString(), '2026-01-02T00:00:00.000Z');
    assert.ok(certificate.publicKey.equals(read(pem).publicKey));
    assert.ok(certificate.verify(new X509Certificate(ca.certPem).publicKey));
    const again = new X509Certificate(await signPublicKey(ca, client(pem), { nowMs, lifetimeMs: dayMs }));
    assert.notEqual(again.serialNumber, certificate.serialNumber);
    assert.equal(usagesOf(text), x509.KeyUsageFlags.digitalSignature);
    const rsa = await signPublicKey(ca, client(requestOf({ kind: 'RSA-2048' }), true), { nowMs, lifetimeMs: dayMs });
    assert.equal(usagesOf(rsa), x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment);
  });

  it('ends with the authority at the latest', async () => {
    const ca = await authority(dayMs);
    const text = await signPublicKey(ca, client(requestOf({ kind: 'Ed25519' })), { nowMs, lifetimeMs: 7 * dayMs });
    assert.equal(new X509Certificate(text).validToDate.toISOString(), '2026-01-02T00:00:00.000Z');
  });

  it('signs by an authority that somebody brought, of RSA or P-384', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
    for (const algorithm of [rsa, { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }]) {
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const extensions = [new x509.BasicConstraintsExtension(true, 0, true)];
      const made = await x509.X509CertificateGenerator.createSelfSigned({ name: 'CN=ca', keys, signingAlgorithm: algorithm, extensions });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
      const keyPem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString();
      const ca = { keyPem, certPem: made.toString('pem') };
      const issuer = new X509Certificate(ca.certPem);
      const certificate = new X509Certificate(await signPublicKey(ca, client(requestOf()), { nowMs: Date.now(), lifetimeMs: dayMs }));
      assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey), algorithm.name);
    }
  });
});

function usagesOf(pem: string): number | undefined {
  return new x509.X509Certificate(pem).getExtension(x509.KeyUsagesExtension)?.usages;
}

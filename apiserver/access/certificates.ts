/** Makes X.509 certificates: EC P-256 keys, SHA-256 signatures; others' keys as they are. Knows no files. */
import './reflect-metadata.ts';
import * as x509 from '@peculiar/x509';
import { isIP } from 'node:net';
import { createPrivateKey, webcrypto, type KeyObject } from 'node:crypto';
import type { SubjectAttribute } from './signing-request.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Certificates begin this long before now, for clocks that run behind. */
const backdateMs = 3_600_000;
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

x509.cryptoProvider.set(webcrypto);

export interface KeyAndCertificate {
  /** PKCS#8. */
  keyPem: string;
  certPem: string;
}

export interface Lifetime {
  nowMs: number;
  lifetimeMs: number;
}

export interface ServerNames {
  commonName: string;
  /** DNS names and IP addresses, mixed. */
  names: readonly string[];
}

export interface ClientSubject {
  /** The user's name. */
  commonName: string;
  /** The user's groups. */
  organizations: readonly string[];
}

export async function newPrivateKey(): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY') + '\n';
}

/** A certificate for a CA that signs itself. */
export async function createAuthority(keyPem: string, commonName: string, lifetime: Lifetime): Promise<string> {
  const keys = await importKeyPair(keyPem);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: subjectOf(commonName, []),
    ...validity(lifetime),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return certificate.toString('pem') + '\n';
}

export async function signServerCertificate(
  authority: KeyAndCertificate,
  server: ServerNames,
  lifetime: Lifetime,
): Promise<KeyAndCertificate> {
  const names = server.names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }));
  return sign(authority, subjectOf(server.commonName, []), lifetime, [
    new x509.ExtendedKeyUsageExtension([serverAuth], false),
    new x509.SubjectAlternativeNameExtension(names),
  ]);
}

export async function signClientCertificate(
  authority: KeyAndCertificate,
  client: ClientSubject,
  lifetime: Lifetime,
): Promise<KeyAndCertificate> {
  const subject = subjectOf(client.commonName, client.organizations);
  return sign(authority, subject, lifetime, [new x509.ExtendedKeyUsageExtension([clientAuth], false)]);
}

export interface PublicKeyClient {
  publicKey: KeyObject;
  /** Values are text. */
  subject: readonly SubjectAttribute[];
  /** Of RSA keys, for what encrypts keys to them. */
  keyEncipherment: boolean;
}

/**
 * A client's certificate for a key that we do not have: for client authentication, of no authority and without names. Ends with the
 * authority's own at the latest. Answers PEM.
 */
export async function signPublicKey(authority: KeyAndCertificate, client: PublicKeyClient, lifetime: Lifetime): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certPem);
  const { key: signingKey, algorithm: signingAlgorithm } = importSigningKey(authority.keyPem);
  const { notBefore, notAfter } = validity(lifetime);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: nameOf(client.subject),
    issuer: issuer.subjectName,
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    signingKey,
    signingAlgorithm,
    publicKey: client.publicKey.export({ type: 'spki', format: 'der' }),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      clientKeyUsages(client.keyEncipherment),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      new x509.ExtendedKeyUsageExtension([clientAuth], false),
    ],
  });
  return certificate.toString('pem') + '\n';
}

function clientKeyUsages(keyEncipherment: boolean): x509.KeyUsagesExtension {
  const { KeyUsageFlags: flags } = x509;
  if (keyEncipherment) return new x509.KeyUsagesExtension(flags.digitalSignature | flags.keyEncipherment, true);
  return new x509.KeyUsagesExtension(flags.digitalSignature, true);
}

/** Whoever runs the pool may bring an authority of their own, with a key of another kind than ours. */
function importSigningKey(keyPem: string): {
  key: webcrypto.CryptoKey;
  algorithm: webcrypto.EcdsaParams | webcrypto.RsaHashedImportParams;
} {
  const privateKey = createPrivateKey(keyPem);
  if (privateKey.asymmetricKeyType === 'rsa') {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    return { key: privateKey.toCryptoKey(rsa, false, ['sign']), algorithm: rsa };
  }
  const isLong = privateKey.asymmetricKeyDetails?.namedCurve === 'secp384r1';
  const elliptic = isLong ? { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' } : algorithm;
  return { key: privateKey.toCryptoKey(elliptic, false, ['sign']), algorithm: elliptic };
}

async function sign(
  authority: KeyAndCertificate,
  subject: x509.Name,
  lifetime: Lifetime,
  extensions: x509.Extension[],
): Promise<KeyAndCertificate> {
  const issuer = new x509.X509Certificate(authority.certPem);
  const signingKey = (await importKeyPair(authority.keyPem)).privateKey;
  const keyPem = await newPrivateKey();
  const { publicKey } = await importKeyPair(keyPem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    // The name as it is encoded: clients in Go compare bytes.
    issuer: issuer.subjectName,
    ...validity(lifetime),
    signingKey,
    publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...extensions,
    ],
  });
  return { keyPem, certPem: certificate.toString('pem') + '\n' };
}

interface KeyPair {
  privateKey: webcrypto.CryptoKey;
  publicKey: webcrypto.CryptoKey;
}

async function importKeyPair(keyPem: string): Promise<KeyPair> {
  const bytes = x509.PemConverter.decodeFirst(keyPem);
  const privateKey = await webcrypto.subtle.importKey('pkcs8', bytes, algorithm, true, ['sign']);
  const { kty = '', crv = '', x = '', y = '' } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const publicKey = await webcrypto.subtle.importKey('jwk', { kty, crv, x, y }, algorithm, true, ['verify']);
  return { privateKey, publicKey };
}

/** One attribute each, so that no character of a name can end it and begin another. */
function nameOf(subject: readonly SubjectAttribute[]): x509.Name {
  return new x509.Name(subject.map(({ type, value }) => ({ [type]: [type === 'C' ? { printableString: value } : { utf8String: value }] })));
}

function subjectOf(commonName: string, organizations: readonly string[]): x509.Name {
  return nameOf([...organizations.map((value) => ({ type: 'O', value })), { type: 'CN', value: commonName }]);
}

function validity({ nowMs, lifetimeMs }: Lifetime): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - backdateMs), notAfter: new Date(nowMs + lifetimeMs) };
}

/** 127 random bits; the first is zero, so that the number is positive, and the second one, so that it is not short. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

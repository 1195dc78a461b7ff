/**
 * Reads PKCS#10 requests for certificates (RFC 2986), which anybody may have written: bounded, and never throws. Messages are those of
 * Kubernetes' `pkg/apis/certificates` where it has one.
 */
import './reflect-metadata.ts';
import * as x509 from '@peculiar/x509';
import { createPublicKey, verify, type KeyObject } from 'node:crypto';

/** Longest PEM text, in bytes. */
export const maxRequestBytes = 64 * 1024;

export interface SubjectAttribute {
  /** The short name of the attribute where it has one (`CN`, `O`), else its object identifier. */
  type: string;
  value: string;
}

export interface SigningRequest {
  /** The whole request, as it was signed. */
  der: Buffer;
  /** Its own: the signature over the request holds by it. */
  publicKey: KeyObject;
  /** In order; of an attribute that is no text, the value is `#` and its bytes in hexadecimal. */
  subject: readonly SubjectAttribute[];
}

export type ReadRequest = { request: SigningRequest; problem?: undefined } | { request?: undefined; problem: string };

const pemBlock = /-----BEGIN ([A-Z0-9 ]{1,64})-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)-----END ([A-Z0-9 ]{1,64})-----/u;
const base64Body = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u;

/** Keys and digests, as WebCrypto and as OpenSSL call them; Ed25519 has a digest of its own. */
const keyTypes: Readonly<Record<string, string>> = { 'RSASSA-PKCS1-v1_5': 'rsa', ECDSA: 'ec', Ed25519: 'ed25519' };
const digests: Readonly<Record<string, string>> = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' };
/** Longest RSA key that is verified, in bits: the time that a verification takes grows with it. */
const longestRsaBits = 8192;

/** `pem` is the text of one block of type CERTIFICATE REQUEST; what stands around it does not count. */
export function readSigningRequest(pem: Uint8Array): ReadRequest {
  if (pem.length > maxRequestBytes) return { problem: `must be at most ${maxRequestBytes} bytes` };
  const [, type, body = '', end] = pemBlock.exec(Buffer.from(pem).toString('latin1')) ?? [];
  const base64 = body.replace(/\s/gu, '');
  if (type !== 'CERTIFICATE REQUEST' || end !== type || !base64Body.test(base64)) {
    return { problem: 'PEM block type must be CERTIFICATE REQUEST' };
  }
  try {
    return readDer(Buffer.from(base64, 'base64'));
  } catch (error) {
    return { problem: `x509: malformed certificate request: ${firstLine(error)}` };
  }
}

function readDer(der: Buffer): ReadRequest {
  const outer = elementAt(der, 0);
  if (outer?.end !== der.length) return { problem: 'x509: malformed certificate request' };
  const info = elementAt(der, outer.contentStart);
  if (info === undefined) return { problem: 'x509: malformed certificate request' };
  const parsed = new x509.Pkcs10CertificateRequest(der);
  const publicKey = createPublicKey({ key: Buffer.from(parsed.publicKey.rawData), format: 'der', type: 'spki' });
  const algorithm = parsed.signatureAlgorithm as { name: string; hash?: { name: string } };
  const keyType = keyTypes[algorithm.name];
  const digest = keyType === 'ed25519' ? null : digests[algorithm.hash?.name ?? ''];
  const isHuge = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) > longestRsaBits;
  if (keyType === undefined || digest === undefined || isHuge) {
    return { problem: 'x509: cannot verify signature: algorithm unimplemented' };
  }
  const signed = der.subarray(outer.contentStart, info.end);
  if (publicKey.asymmetricKeyType !== keyType || !verify(digest, signed, publicKey, new Uint8Array(parsed.signature))) {
    return { problem: 'x509: the signature over the request does not hold by its own key' };
  }
  const subject = parsed.subjectName
    .toJSON()
    .flatMap((part) => Object.entries(part).flatMap(([attribute, values]) => values.map((value) => ({ type: attribute, value }))));
  return { request: { der, publicKey, subject } };
}

/** The DER element that begins at `start`: where its content begins, and where it ends. Undefined where there is none of definite length. */
function elementAt(der: Buffer, start: number): { contentStart: number; end: number } | undefined {
  const first = der[start + 1];
  if (first === undefined || (der[start] ?? 0) !== 0x30) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  // No more than three bytes of length are needed for what is bounded; 0x80 is the indefinite form of BER.
  if (first === 0x80 || lengthBytes > 3 || start + 2 + lengthBytes > der.length) return undefined;
  const length = lengthBytes === 0 ? first : der.readUIntBE(start + 2, lengthBytes);
  const contentStart = start + 2 + lengthBytes;
  const end = contentStart + length;
  return end > der.length ? undefined : { contentStart, end };
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]?.slice(0, 200) ?? '';
}

/** Why no certificate of ours can be for this key; undefined when one can. */
export function unfitKeyProblem(key: KeyObject): string | undefined {
  const { namedCurve = 'unnamed', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return undefined;
    case 'ec':
      return fitCurves.has(namedCurve) ? undefined : `an elliptic key must be on P-256 or P-384, and this one is on ${namedCurve}`;
    case 'rsa':
      return modulusLength >= 2048 ? undefined : `an RSA key must have at least 2048 bits, and this one has ${modulusLength}`;
    default:
      return `a key must be P-256, P-384, Ed25519 or RSA, and this one is ${String(key.asymmetricKeyType)}`;
  }
}

/** As OpenSSL calls P-256 and P-384. */
const fitCurves: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1']);

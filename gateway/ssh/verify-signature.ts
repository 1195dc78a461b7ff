/**
 * Whether a key signed something, by Node's own cryptography: what the key is says how it is verified, never what the client says of it.
 * RFC 4253, 5656, 8332, 8709; security keys as OpenSSH's PROTOCOL.u2f has them. Pure.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

export interface SignedRequest {
  /** `type base64`, as an instance lists it. */
  key: string;
  /** What was signed. */
  message: Buffer;
  /** Without the name of its algorithm; of ECDSA in DER, of a security key with flags and counter behind it. */
  signature: Buffer;
  /** Of RSA: what the client says, of which two are taken. */
  hash: string | undefined;
}

const curves: Readonly<Record<string, { jwk: string; bytes: number; hash: string }>> = {
  'ecdsa-sha2-nistp256': { jwk: 'P-256', bytes: 32, hash: 'sha256' },
  'ecdsa-sha2-nistp384': { jwk: 'P-384', bytes: 48, hash: 'sha384' },
  'ecdsa-sha2-nistp521': { jwk: 'P-521', bytes: 66, hash: 'sha512' },
};
const securityKeySuffixBytes = 5;
/** Somebody touched it. */
const presentFlag = 1;

/** False for whatever is not as it should be. */
export function isSignedBy(request: SignedRequest): boolean {
  const type = request.key.split(' ')[0] ?? '';
  try {
    const fields = readFields(Buffer.from(request.key.split(' ')[1] ?? '', 'base64'));
    if (fields[0]?.toString('latin1') !== type) return false;
    return verifyByType(type, fields, request);
  } catch {
    return false;
  }
}

function verifyByType(type: string, fields: readonly Buffer[], { message, signature, hash }: SignedRequest): boolean {
  const [, first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = fields;
  const curve = curves[type];
  if (curve !== undefined) return verify(curve.hash, message, ecKey(second, curve), signature);
  switch (type) {
    case 'ssh-ed25519':
      return verify(null, message, ed25519Key(first), signature);
    case 'ssh-rsa':
      // SHA-1, which a client may ask for by the key's own name, is not among them.
      return (hash === 'sha256' || hash === 'sha512') && verify(hash, message, rsaKey(first, second), signature);
    case 'sk-ssh-ed25519@openssh.com': {
      const { bytes, data } = openSecurityKey(signature, second, message);
      return bytes !== undefined && verify(null, data, ed25519Key(first), bytes);
    }
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const { bytes, data } = openSecurityKey(signature, third, message);
      const [r, s] = bytes === undefined ? [] : readFields(bytes);
      const p256 = { jwk: 'P-256', bytes: 32 };
      if (r === undefined || s === undefined) return false;
      const raw = Buffer.concat([fixed(r, p256.bytes), fixed(s, p256.bytes)]);
      return verify('sha256', data, { key: ecKey(second, p256), dsaEncoding: 'ieee-p1363' }, raw);
    }
    default:
      return false;
  }
}

/** What a security key signs: hashes of the application and of the message, around flags and counter, which follow the signature. */
function openSecurityKey(signature: Buffer, application: Buffer, message: Buffer): { bytes: Buffer | undefined; data: Buffer } {
  const suffix = signature.subarray(-securityKeySuffixBytes);
  const isPresent = ((suffix[0] ?? 0) & presentFlag) !== 0 && signature.length > securityKeySuffixBytes;
  const data = Buffer.concat([sha256(application), suffix, sha256(message)]);
  return { bytes: isPresent ? signature.subarray(0, -securityKeySuffixBytes) : undefined, data };
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function ed25519Key(point: Buffer): KeyObject {
  return jwkKey({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') });
}

function rsaKey(exponent: Buffer, modulus: Buffer): KeyObject {
  return jwkKey({ kty: 'RSA', e: unsigned(exponent).toString('base64url'), n: unsigned(modulus).toString('base64url') });
}

/** An uncompressed point: 4, x, y. */
function ecKey(point: Buffer, { jwk, bytes }: { jwk: string; bytes: number }): KeyObject {
  if (point.length !== 2 * bytes + 1 || point[0] !== 4) throw new RangeError('this is no point');
  const [x, y] = [point.subarray(1, bytes + 1), point.subarray(bytes + 1)].map((part) => part.toString('base64url'));
  return jwkKey({ kty: 'EC', crv: jwk, x: x ?? '', y: y ?? '' });
}

function jwkKey(key: JsonWebKey): KeyObject {
  return createPublicKey({ key, format: 'jwk' });
}

function unsigned(number: Buffer): Buffer {
  return number[0] === 0 ? number.subarray(1) : number;
}

function fixed(number: Buffer, bytes: number): Buffer {
  const digits = unsigned(number);
  if (digits.length > bytes) throw new RangeError('this number is too long');
  return Buffer.concat([Buffer.alloc(bytes - digits.length), digits]);
}

/** Each behind its length in four bytes. @throws {RangeError} */
function readFields(bytes: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) throw new RangeError('a field is longer than what there is');
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

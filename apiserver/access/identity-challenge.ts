/**
 * Authentication by a key pair without a certificate: the server gives a text, the client signs it with what it asks for. The scheme, and
 * what is signed, stand in docs/identity.md. Servers that share the key of tokens take each other's challenges; nothing is remembered.
 */
import { createHmac, createPublicKey, hkdfSync, randomBytes, timingSafeEqual, verify, type KeyObject } from 'node:crypto';
import { challengeSignatureContext, identityScheme } from '../../api/names.ts';
import type { TokenKey } from './service-account-tokens.ts';

/** How long a challenge is good, and how far a server's clock may be behind that of the one that made it. */
const lifetimeMs = 60_000;
const leewayMs = 5_000;
const longestHeader = 1024;
const keyBytes = 32;

/** What the header says. */
export interface IdentityClaim {
  /** 32 bytes, base64url. */
  key: string;
  /** Absent in the first request, which asks for a challenge. */
  answer?: { challenge: string; signature: string };
}

/** Undefined for another scheme; `malformed` for a header that cannot be understood. */
export function readIdentityHeader(header: string): IdentityClaim | 'malformed' | undefined {
  const [scheme = ''] = /^[^\s]+/u.exec(header) ?? [];
  if (scheme.toLowerCase() !== identityScheme.toLowerCase()) return undefined;
  const parameters = header.length > longestHeader ? undefined : readParameters(header.slice(scheme.length));
  const key = parameters?.get('key') ?? '';
  if (parameters === undefined || !isPublicKey(key)) return 'malformed';
  const challenge = parameters.get('challenge');
  const signature = parameters.get('signature');
  if (challenge === undefined && signature === undefined) return { key };
  return challenge === undefined || signature === undefined ? 'malformed' : { key, answer: { challenge, signature } };
}

/** `name="value"`, with commas between them; each name once. */
function readParameters(text: string): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*(key|challenge|signature)="([A-Za-z0-9_.-]+)"\s*$/u.exec(part) ?? [];
    if (name === undefined || value === undefined || parameters.has(name)) return undefined;
    parameters.set(name, value);
  }
  return parameters;
}

function isPublicKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === keyBytes && bytes.toString('base64url') === text;
}

/** The request that the signature is for: the method, and path and query as they were sent. */
export interface SignedRequest {
  method: string;
  target: string;
}

export class IdentityChallenges {
  readonly #secret: Buffer;

  constructor({ privateKey }: TokenKey) {
    const material = privateKey.export({ type: 'pkcs8', format: 'der' });
    this.#secret = Buffer.from(hkdfSync('sha256', material, '', 'potluck identity challenge v1', 32));
  }

  /** `<time>.<random>.<MAC>` for one key; the time in milliseconds since the epoch. */
  issue(key: string, nowMs: number): string {
    const content = `${nowMs}.${randomBytes(16).toString('base64url')}`;
    return `${content}.${this.#mac(content, key).toString('base64url')}`;
  }

  /** Whether the challenge is one of ours, for this key and still good, and the signature over it and the request is the key's. */
  holds({ key, answer }: IdentityClaim, { method, target }: SignedRequest, nowMs: number): boolean {
    if (answer === undefined) return false;
    const { challenge, signature } = answer;
    const [, content = '', time = '', mac = ''] = /^((\d{1,16})\.[\w-]{22})\.([\w-]{43})$/u.exec(challenge) ?? [];
    const shown = Buffer.from(mac, 'base64url');
    const expected = this.#mac(content, key);
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return false;
    const ageMs = nowMs - Number(time);
    if (ageMs > lifetimeMs || ageMs < -leewayMs) return false;
    const text = `${challengeSignatureContext}\n${challenge}\n${method} ${target}`;
    return isSignedBy(key, Buffer.from(text), Buffer.from(signature, 'base64url'));
  }

  #mac(content: string, key: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${content}\n${key}`).digest();
  }
}

function isSignedBy(key: string, text: Buffer, signature: Buffer): boolean {
  if (signature.length !== 64) return false;
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key }, format: 'jwk' });
    return verify(null, text, publicKey, signature);
  } catch {
    return false;
  }
}

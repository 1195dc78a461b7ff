/**
 * Tokens of ServiceAccounts: signed statements that live as long as they say and as the objects that they name. The signing key lies beside the
 * pool's authority.
 */
import { createHash, createPrivateKey, createPublicKey, randomUUID, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { UserError } from '../../api/errors.ts';
import type { UserInfo } from '../registry/resource.ts';
import { newPrivateKey } from './certificates.ts';
import { serviceAccountGroups, serviceAccountUser } from './service-account-names.ts';
import { readIfThere, writeSecretOnce } from './write-file.ts';

/** Who signs, as `iss` has it, and the audience of tokens that are for the API itself. The name that Kubernetes' clients expect. */
export const tokenIssuer = 'https://kubernetes.default.svc';
const algorithm = 'ES256';
const claimsKey = 'kubernetes.io';
const credentialIdKey = 'authentication.kubernetes.io/credential-id';

export interface ObjectIdentity {
  name: string;
  uid: string;
}

/** What a token says. */
export interface TokenSubject {
  namespace: string;
  serviceAccount: ObjectIdentity;
  /** A secret that the token does not outlive. */
  secret?: ObjectIdentity;
}

export interface TokenKey {
  privateKey: KeyObject;
  publicKey: KeyObject;
  /** Fingerprint of the public key. */
  id: string;
}

/** Reads the key, or makes it when there is none; readable by its owner only. Throws `STATE_DAMAGED`. */
export async function openTokenKey(directory: string): Promise<TokenKey> {
  const path = join(directory, 'service-account.key');
  const pem = (await readIfThere(path)) ?? (await writeSecretOnce(path, await newPrivateKey()));
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new TypeError('it is no P-256 key');
    const publicKey = createPublicKey(privateKey);
    const id = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url');
    return { privateKey, publicKey, id };
  } catch (error) {
    const what = `${path} is damaged: ${error instanceof Error ? error.message : String(error)}`;
    throw new UserError('STATE_DAMAGED', what, 'Restore it, or remove it: then every token of a ServiceAccount must be made anew', {
      cause: error,
    });
  }
}

export interface TokenTerms {
  audiences: readonly string[];
  /** Both in seconds since the epoch. */
  issuedAt: number;
  expiresAt: number;
}

export function signToken(key: TokenKey, subject: TokenSubject, { audiences, issuedAt, expiresAt }: TokenTerms): Promise<string> {
  const { namespace, serviceAccount, secret } = subject;
  const claims = { namespace, serviceaccount: serviceAccount, ...(secret === undefined ? {} : { secret }) };
  return new SignJWT({ [claimsKey]: claims })
    .setProtectedHeader({ alg: algorithm, kid: key.id })
    .setIssuer(tokenIssuer)
    .setSubject(serviceAccountUser(namespace, serviceAccount.name))
    .setAudience([...audiences])
    .setIssuedAt(issuedAt)
    .setNotBefore(issuedAt)
    .setExpirationTime(expiresAt)
    .setJti(randomUUID())
    .sign(key.privateKey);
}

/** A token whose signature holds; whether its objects still exist is another question. */
export interface VerifiedToken {
  subject: TokenSubject;
  user: UserInfo;
  audiences: readonly string[];
  /** Milliseconds since the epoch. */
  notBeforeMs: number;
  notAfterMs: number;
}

/** Undefined for what is not ours. The times are not looked at: the caller does so at each use. */
export async function verifyToken(key: TokenKey, token: string): Promise<VerifiedToken | undefined> {
  try {
    // The times are the caller's to judge: a token that is remembered runs out too.
    const { payload } = await jwtVerify(token, key.publicKey, {
      algorithms: [algorithm],
      issuer: tokenIssuer,
      requiredClaims: ['exp', 'sub', 'aud'],
      currentDate: new Date(0),
      clockTolerance: Number.MAX_SAFE_INTEGER,
    });
    return readClaims(payload);
  } catch {
    return undefined;
  }
}

function readClaims(payload: JWTPayload): VerifiedToken | undefined {
  const claims = payload[claimsKey] as { namespace?: unknown; serviceaccount?: unknown; secret?: unknown } | undefined;
  const serviceAccount = identityOf(claims?.serviceaccount);
  const namespace = claims?.namespace;
  if (typeof namespace !== 'string' || serviceAccount === undefined) return undefined;
  const secret = identityOf(claims?.secret);
  const name = serviceAccountUser(namespace, serviceAccount.name);
  if (payload.sub !== name) return undefined;
  const { jti, exp = 0, nbf = 0, aud = [] } = payload;
  return {
    subject: { namespace, serviceAccount, ...(secret === undefined ? {} : { secret }) },
    user: {
      name,
      uid: serviceAccount.uid,
      groups: [...serviceAccountGroups(namespace), 'system:authenticated'],
      ...(jti === undefined ? {} : { extra: { [credentialIdKey]: [`JTI=${jti}`] } }),
    },
    audiences: typeof aud === 'string' ? [aud] : aud,
    notBeforeMs: nbf * 1000,
    notAfterMs: exp * 1000,
  };
}

function identityOf(value: unknown): ObjectIdentity | undefined {
  const { name, uid } = (value ?? {}) as Partial<ObjectIdentity>;
  return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined;
}

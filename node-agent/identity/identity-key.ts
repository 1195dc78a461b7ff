/** The permanent key of a machine: Ed25519, made at its first join, never sent. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readIfThere, writeSecretOnce } from '../../apiserver/access/write-file.ts';
import { UserError } from '../../api/errors.ts';

export interface IdentityKey {
  /** 32 bytes, base64url: as in `Provider.spec.identityKey`. */
  publicKey: string;
  /** base64url. */
  sign(message: Uint8Array): string;
}

/** Undefined where there is none. Throws UserError when the file holds no such key. */
export async function readIdentityKey(path: string): Promise<IdentityKey | undefined> {
  const pem = await readIfThere(path);
  return pem === undefined ? undefined : parse(pem, path);
}

/** Makes it where it is missing, 0600 from its first byte on. */
export async function openIdentityKey(path: string): Promise<IdentityKey> {
  const known = await readIdentityKey(path);
  if (known !== undefined) return known;
  const { privateKey } = generateKeyPairSync('ed25519');
  return parse(await writeSecretOnce(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), path);
}

function parse(pem: string, path: string): IdentityKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw damaged(path, error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw damaged(path, undefined);
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return { publicKey: x, sign: (message) => sign(null, message, key).toString('base64url') };
}

function damaged(path: string, cause: unknown): UserError {
  const remedy = 'Restore it; or run potluck leave --force, and join again with a new token';
  return new UserError('STATE_DAMAGED', `${path} is not the identity key that was made for this machine`, remedy, { cause });
}

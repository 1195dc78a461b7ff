/** A machine that asks for certificates as docs/identity.md says, and in every other way that a test wants. */
import '../../apiserver/access/reflect-metadata.ts';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { createPrivateKey, generateKeyPairSync, randomInt, sign, webcrypto, type KeyObject } from 'node:crypto';
import {
  identityKeyAnnotation,
  identitySignatureAnnotation,
  offerAnnotation,
  providerNameAnnotation,
  providerSigner,
} from '../../api/names.ts';
import { apiVersionOf, certificateSigningRequests } from '../../api/resource-type.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';

export interface MachineIdentity {
  privateKey: KeyObject;
  /** base64url. */
  publicText: string;
}

export function newIdentity(): MachineIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicText: publicKey.export({ format: 'jwk' }).x ?? '' };
}

export interface CertificateKey {
  keyPem: string;
  /** PKCS#10. */
  der: Buffer;
}

/** A P-256 key and a request for it; the subject is of no interest to our signer. */
export async function newCertificateKey(subject = 'CN=anything'): Promise<CertificateKey> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm: algorithm });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' });
  return { keyPem: keyPem.toString(), der: Buffer.from(request.rawData) };
}

export function requestPem(der: Uint8Array): Buffer {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/(.{64})/gu, '$1\n')
    .trimEnd();
  return Buffer.from(`-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`);
}

export function randomName(length: number): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

export interface JoinRequestOptions {
  tokenId: string;
  key: CertificateKey;
  identity: MachineIdentity;
  /** Default: one of its own. */
  name?: string;
  /** More annotations, or others. */
  annotations?: Record<string, string>;
  spec?: Partial<CertificateSigningRequest['spec']>;
}

export function joinRequest(options: JoinRequestOptions): CertificateSigningRequest {
  const { tokenId, key, identity, name = `join-${tokenId}-${randomName(10)}`, annotations = {}, spec = {} } = options;
  const signed = Buffer.concat([Buffer.from(`potluck-join-v1\n${name}\n`), key.der]);
  return {
    ...signingRequest(name, key, spec),
    metadata: {
      name,
      annotations: {
        [identityKeyAnnotation]: identity.publicText,
        [identitySignatureAnnotation]: sign(null, signed, identity.privateKey).toString('base64url'),
        [providerNameAnnotation]: 'desk',
        [offerAnnotation]: '{"cpu":"4","memory":"8Gi","disk":"100Gi"}',
        ...annotations,
      },
    },
  };
}

export function signingRequest(
  name: string,
  key: CertificateKey,
  spec: Partial<CertificateSigningRequest['spec']> = {},
): CertificateSigningRequest {
  return {
    apiVersion: apiVersionOf(certificateSigningRequests),
    kind: certificateSigningRequests.kind,
    metadata: { name },
    spec: {
      request: requestPem(key.der).toString('base64'),
      signerName: providerSigner,
      usages: ['client auth', 'digital signature'],
      ...spec,
    },
  };
}

/** Requests, tokens and a signer for unit tests: real Ed25519, no X.509. */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { Provider } from '../../api/generated/provider.ts';
import {
  identityKeyAnnotation,
  identitySignatureAnnotation,
  offerAnnotation,
  providerNameAnnotation,
  providerSigner,
} from '../../api/names.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { joinMessage } from './read-join.ts';
import type { CertificateSigner, ReadRequest } from './signer.ts';

export const tokenId = 'abcd1234';
export const askedAt = '2026-01-01T12:00:00Z';
export const nowMs = Date.parse('2026-01-01T12:00:05Z');
export const readRequest: ReadRequest = { der: Buffer.from('the request'), keyProblem: undefined, subject: [] };

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
export const identityKey = publicKey.export({ format: 'jwk' }).x ?? '';

export function identitySignature(name: string): string {
  return sign(null, joinMessage(name, readRequest.der), privateKey).toString('base64url');
}

export const testSigner: CertificateSigner = {
  read: () => readRequest,
  verifyIdentity: ({ key, signature, message }) => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') };
    return verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature);
  },
  sign: ({ subject }) => Promise.resolve(Buffer.from(JSON.stringify(subject)).toString('base64')),
};

export function request(more: Partial<CertificateSigningRequest> = {}): CertificateSigningRequest {
  const name = `join-${tokenId}-0123456789`;
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: {
      name,
      uid: 'request-1',
      creationTimestamp: askedAt,
      annotations: {
        [identityKeyAnnotation]: identityKey,
        [identitySignatureAnnotation]: identitySignature(name),
        [providerNameAnnotation]: 'desk',
        [offerAnnotation]: '{"cpu":"4","memory":"8Gi","disk":"100Gi"}',
      },
    },
    spec: {
      request: 'cmVxdWVzdA==',
      signerName: providerSigner,
      usages: ['digital signature', 'client auth'],
      username: `system:bootstrap:${tokenId}`,
      groups: ['system:bootstrappers', 'system:authenticated'],
    },
    ...more,
  };
}

export function token(spec: Partial<JoinToken['spec']> = {}, status?: JoinToken['status']): JoinToken {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'JoinToken',
    metadata: { name: tokenId, uid: 'token-1', creationTimestamp: '2026-01-01T11:00:00Z' },
    spec: { owner: 'alan', secretHash: '', expirationTimestamp: '2026-01-01T13:00:00Z', uses: 1, ...spec },
    ...(status && { status }),
  };
}

export function provider(name: string, spec: Partial<Provider['spec']> = {}): Provider {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name, uid: `uid-of-${name}`, creationTimestamp: askedAt },
    spec: { owner: 'alan', offer: {}, ...spec },
  };
}

/** The key of a certificate and the PKCS#10 request (RFC 2986) that asks for the certificate: P-256, SHA-256. */
import { createPublicKey, generateKeyPair, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { derBitString, derNoAttributes, derObjectIdentifier, derSequence, derSetOf, derSmallInteger, derUtf8String } from './der.ts';

export interface CertificateRequest {
  /** PKCS#8. */
  keyPem: string;
  der: Buffer;
}

const commonNameType = '2.5.4.3';
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/** A new key each time. Of the subject the pool takes nothing; it is for whoever looks at the request. */
export async function createCertificateRequest(commonName: string): Promise<CertificateRequest> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'prime256v1' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const subject = derSequence(derSetOf(derSequence(derObjectIdentifier(commonNameType), derUtf8String(commonName))));
  const information = derSequence(derSmallInteger(0), subject, publicKey, derNoAttributes());
  const signature = sign('sha256', information, privateKey);
  return { keyPem, der: derSequence(information, derSequence(derObjectIdentifier(ecdsaWithSha256)), derBitString(signature)) };
}

/** RFC 7468: lines of 64 characters. */
export function requestPem(der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`;
}

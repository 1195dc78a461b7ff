/** Reads and checks, to the last byte, what a machine says that wants to join (docs/identity.md). Pure, but for the signature's check. */
import type { Provider } from '../../api/generated/provider.ts';
import { dnsLabelProblems } from '../../api/name-rules.ts';
import {
  bootstrapUserPrefix,
  identityKeyAnnotation,
  identitySignatureAnnotation,
  joinSignatureContext,
  locationAnnotation,
  offerAnnotation,
  providerNameAnnotation,
} from '../../api/names.ts';
import { isQuantity } from '../../api/quantity.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import type { CertificateSigner, ReadRequest } from './signer.ts';

export interface JoinRequest {
  tokenId: string;
  /** Public Ed25519 key, base64url. */
  identityKey: string;
  /** What the machine would be called; the token may know better. */
  proposedName: string | undefined;
  offer: Provider['spec']['offer'];
  location: Provider['spec']['location'];
}

export type JoinReading = { join: JoinRequest; problem?: undefined } | { join?: undefined; problem: string };

const mostAnnotationCharacters = 2048;
const mostOffered = 16;
const longestQuantity = 32;
/** Decimal places of coordinates: 0.1 degree, some ten kilometres. Nobody's address is kept. */
const coordinateDecimals = 1;

class Problem extends Error {}

export function readJoin(
  csr: CertificateSigningRequest,
  request: ReadRequest,
  signer: Pick<CertificateSigner, 'verifyIdentity'>,
): JoinReading {
  try {
    const tokenId = readTokenId(csr);
    const problem = usagesProblem(csr) ?? request.keyProblem;
    if (problem !== undefined) throw new Problem(problem);
    return {
      join: {
        tokenId,
        identityKey: readIdentity(csr, request, signer),
        proposedName: readName(csr),
        offer: readOffer(csr),
        location: readLocation(csr),
      },
    };
  } catch (error) {
    if (error instanceof Problem) return { problem: error.message };
    throw error;
  }
}

/** A provider's certificate authenticates it, and does nothing else. */
export function usagesProblem({ spec }: CertificateSigningRequest): string | undefined {
  const usages = [...(spec.usages ?? [])].sort().join(', ');
  return usages === 'client auth, digital signature' ? undefined : 'spec.usages must be "client auth" and "digital signature"';
}

/** The name binds the request to the token, and the identity key signs the name. */
function readTokenId({ metadata, spec }: CertificateSigningRequest): string {
  const tokenId = (spec.username ?? '').slice(bootstrapUserPrefix.length);
  const rest = metadata.name?.startsWith(`join-${tokenId}-`) === true ? metadata.name.slice(`join-${tokenId}-`.length) : '';
  if (!/^[a-z0-9]{10}$/u.test(rest)) throw new Problem(`the request must be named join-${tokenId}- and ten characters of a-z and 0-9`);
  return tokenId;
}

function annotation({ metadata }: CertificateSigningRequest, key: string): string | undefined {
  const value = metadata.annotations?.[key];
  if (value !== undefined && value.length > mostAnnotationCharacters) {
    throw new Problem(`annotation ${key} has more than ${mostAnnotationCharacters} characters`);
  }
  return value;
}

function readIdentity(csr: CertificateSigningRequest, { der }: ReadRequest, signer: Pick<CertificateSigner, 'verifyIdentity'>): string {
  const text = annotation(csr, identityKeyAnnotation) ?? '';
  const key = bytesOf(text, 32);
  if (key === undefined) throw new Problem(`annotation ${identityKeyAnnotation} must be an Ed25519 key of 32 bytes in base64url`);
  const signature = bytesOf(annotation(csr, identitySignatureAnnotation) ?? '', 64);
  const message = joinMessage(csr.metadata.name ?? '', der);
  if (signature === undefined || !signer.verifyIdentity({ key, signature, message })) {
    throw new Problem(`annotation ${identitySignatureAnnotation} is no signature over this request by the identity key`);
  }
  return text;
}

/** What the identity key signs. */
export function joinMessage(requestName: string, der: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${joinSignatureContext}\n${requestName}\n`, 'ascii'), der]);
}

/** Of base64url in its one proper form: a key that could be written in two ways would be two machines. */
function bytesOf(text: string, length: number): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text ? bytes : undefined;
}

function readName(csr: CertificateSigningRequest): string | undefined {
  const name = annotation(csr, providerNameAnnotation);
  if (name === undefined || name === '') return undefined;
  const [problem] = dnsLabelProblems(name);
  if (problem !== undefined) throw new Problem(`annotation ${providerNameAnnotation}: ${problem}`);
  return name;
}

function readOffer(csr: CertificateSigningRequest): JoinRequest['offer'] {
  const offer = readObject(csr, offerAnnotation);
  if (offer === undefined) throw new Problem(`annotation ${offerAnnotation} is missing`);
  const entries = Object.entries(offer);
  if (entries.length === 0 || entries.length > mostOffered)
    throw new Problem(`annotation ${offerAnnotation} must offer 1 to ${mostOffered} things`);
  for (const [name, amount] of entries) {
    const isText = typeof amount === 'string' || typeof amount === 'number';
    if (!isText || String(amount).length > longestQuantity || !isQuantity(amount)) {
      throw new Problem(`annotation ${offerAnnotation}: ${JSON.stringify(name.slice(0, 63))} is offered by no quantity`);
    }
  }
  return Object.fromEntries(entries) as JoinRequest['offer'];
}

function readLocation(csr: CertificateSigningRequest): JoinRequest['location'] {
  const location = readObject(csr, locationAnnotation);
  if (location === undefined) return undefined;
  const { region, latitude, longitude, ...others } = location;
  const problem = (what: string): Problem => new Problem(`annotation ${locationAnnotation}: ${what}`);
  if (Object.keys(others).length > 0) throw problem('only region, latitude and longitude are known');
  if (region !== undefined && typeof region !== 'string') throw problem('region must be text');
  return {
    ...(region === undefined ? {} : { region }),
    ...coordinate('latitude', latitude, 90, problem),
    ...coordinate('longitude', longitude, 180, problem),
  };
}

function coordinate(
  name: 'latitude' | 'longitude',
  value: unknown,
  most: number,
  problem: (what: string) => Problem,
): Partial<Record<'latitude' | 'longitude', number>> {
  if (value === undefined) return {};
  if (typeof value !== 'number' || !(Math.abs(value) <= most)) throw problem(`${name} must be a number from -${most} to ${most}`);
  return { [name]: Number(value.toFixed(coordinateDecimals)) };
}

function readObject(csr: CertificateSigningRequest, key: string): Record<string, unknown> | undefined {
  const text = annotation(csr, key);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Problem(`annotation ${key} is no JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Problem(`annotation ${key} is no JSON object`);
  return value as Record<string, unknown>;
}

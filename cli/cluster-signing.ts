/** The authority that a controller signs with: flags as kube-controller-manager has them, and its port over X.509. */
import { createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { signPublicKey, type KeyAndCertificate } from '../apiserver/access/certificates.ts';
import { readSigningRequest, unfitKeyProblem } from '../apiserver/access/signing-request.ts';
import { parseDuration } from '../apiserver/admission/cel/duration.ts';
import type { CertificateSigner, IdentityProof } from '../controller/certificate-signing/signer.ts';
import type { SigningOptions } from '../controller/reconcilers.ts';
import type { Flags, FlagValues } from './command-line/command.ts';
import type { PoolPaths } from './up/pool-paths.ts';

export const clusterSigningFlags = {
  'cluster-signing-cert-file': {
    type: 'string',
    value: 'FILE',
    description: 'certificate that certificates are signed by; default HOME/pki/ca.crt',
  },
  'cluster-signing-key-file': { type: 'string', value: 'FILE', description: 'the key of that certificate; default HOME/pki/ca.key' },
  'cluster-signing-duration': {
    type: 'string',
    value: 'DURATION',
    default: '24h',
    description: 'the longest that a signed certificate holds, for example 24h or 90m',
  },
} as const satisfies Flags;

interface AuthorityFiles {
  certFile: string;
  keyFile: string;
}

/**
 * Undefined where no file was named and the pool's own are not here: another controller signs. Throws `BAD_ARGUMENT` for files and durations
 * that cannot be used.
 */
export async function signingOptions(
  values: FlagValues<typeof clusterSigningFlags>,
  paths: PoolPaths,
): Promise<SigningOptions | undefined> {
  const { 'cluster-signing-cert-file': certFlag, 'cluster-signing-key-file': keyFlag } = values;
  const files = { certFile: certFlag ?? join(paths.pki, 'ca.crt'), keyFile: keyFlag ?? join(paths.pki, 'ca.key') };
  const durationMs = parseLifetime(values['cluster-signing-duration']);
  try {
    checkAuthority(await readAuthority(files));
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (isAbsent && certFlag === undefined && keyFlag === undefined) return undefined;
    const what = `${files.certFile} and ${files.keyFile} cannot sign: ${(error as Error).message}`;
    const remedy = 'Name a certificate and its key with --cluster-signing-cert-file and --cluster-signing-key-file';
    throw new UserError('BAD_ARGUMENT', what, remedy, { cause: error });
  }
  return { signer: createSigner(files), durationMs };
}

function parseLifetime(text: string): number {
  const nanos = parseDuration(text);
  if (nanos !== undefined && nanos >= 1_000_000_000n) return Number(nanos / 1_000_000n);
  throw new UserError(
    'BAD_ARGUMENT',
    `--cluster-signing-duration ${JSON.stringify(text)} is no duration of a second or more`,
    'For example 24h or 90m',
  );
}

async function readAuthority({ certFile, keyFile }: AuthorityFiles): Promise<KeyAndCertificate> {
  return { certPem: await readFile(certFile, 'utf8'), keyPem: await readFile(keyFile, 'utf8') };
}

function checkAuthority({ certPem, keyPem }: KeyAndCertificate): void {
  const certificate = new X509Certificate(certPem);
  const key = createPrivateKey(keyPem);
  if (!certificate.ca) throw new Error('the certificate is not one of an authority');
  if (!certificate.checkPrivateKey(key)) throw new Error('the key is not the one of the certificate');
  const problem = unfitKeyProblem(createPublicKey(key));
  if (problem !== undefined || key.asymmetricKeyType === 'ed25519') throw new Error(problem ?? 'an Ed25519 key cannot be used here');
}

/** Reads the files anew for each certificate: who replaces them need not restart anything. */
function createSigner(files: AuthorityFiles): CertificateSigner {
  return {
    read(text) {
      const { request, problem } = readSigningRequest(Buffer.from(text, 'base64'));
      if (request === undefined) return { problem };
      return { der: request.der, keyProblem: unfitKeyProblem(request.publicKey), subject: request.subject };
    },
    verifyIdentity,
    async sign({ request: text, subject, keyEncipherment, lifetimeMs }) {
      const { request, problem } = readSigningRequest(Buffer.from(text, 'base64'));
      if (request === undefined) throw new Error(problem);
      const client = { publicKey: request.publicKey, subject, keyEncipherment };
      const pem = await signPublicKey(await readAuthority(files), client, { nowMs: Date.now(), lifetimeMs });
      return Buffer.from(pem).toString('base64');
    },
  };
}

/** What goes before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410). */
const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex');

function verifyIdentity({ key, signature, message }: IdentityProof): boolean {
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([ed25519Prefix, key]), format: 'der', type: 'spki' });
    return verify(null, message, publicKey, signature);
  } catch {
    return false;
  }
}

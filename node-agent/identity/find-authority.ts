/** The first step of joining: which certificate of those that the server shows is the pool's authority. */
import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { UserError } from '../../api/errors.ts';

/** SHA-256 of the SubjectPublicKeyInfo, base64url: how a join token names the pool's authority. */
export function authorityHash(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

export interface FindAuthorityOptions {
  /** Only its host and port count. */
  server: URL;
  /** As in the join token. */
  caHash: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** A server with more than this in its chain is none of ours. */
const longestChain = 10;

/**
 * Connects once, believes nothing, sends nothing above TLS, hangs up. Answers the PEM of the certificate whose public key has the hash.
 * Throws UserError when the server cannot be reached, does not speak TLS or has no such certificate.
 */
export async function findAuthority({ server, caHash, timeoutMs, signal }: FindAuthorityOptions): Promise<string> {
  const late = AbortSignal.timeout(timeoutMs);
  const chain = await readChain(server, AbortSignal.any([signal, late])).catch((error: unknown) => {
    signal.throwIfAborted();
    throw unreachable(server, late.aborted ? new Error(`no answer after ${timeoutMs / 1000} s`) : (error as Error));
  });
  const found = chain.find((certificate) => authorityHash(certificate) === caHash && isAuthority(certificate));
  if (found !== undefined) return found.toString();
  throw new UserError(
    'POOL_NOT_TRUSTED',
    `${server.host} is not the pool that the token is for: no certificate that it shows has the token's hash`,
    'Nothing was sent to it. The token may be of another pool, or someone is in between: ask who gave you the token for both again',
  );
}

/** Whoever made a certificate of their own around the same public key could not sign it. */
function isAuthority(certificate: X509Certificate): boolean {
  return certificate.ca && certificate.verify(certificate.publicKey);
}

async function readChain(server: URL, signal: AbortSignal): Promise<X509Certificate[]> {
  signal.throwIfAborted();
  const host = server.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = Number(server.port === '' ? 443 : server.port);
  return new Promise((resolve, reject) => {
    // Nothing is decided on this connection but whether to go on.
    const socket = connect({ host, port, rejectUnauthorized: false, ...(isIP(host) === 0 ? { servername: host } : {}) });
    const onAbort = (): void => {
      socket.destroy(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('secureConnect', () => {
      resolve(chainOf(socket));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Error('the connection was closed'));
    });
  });
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined && chain.length < longestChain; next = next.issuerCertificate) {
    chain.push(next);
  }
  return chain;
}

/** What a person can do about a connection that failed, below the API. */
export function unreachable(server: URL, cause: Error): UserError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new UserError(
      'API_UNREACHABLE',
      `the name ${server.hostname} is not known here`,
      'Check the URL, and that this machine has a network',
      {
        cause,
      },
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    const remedy = 'Check the port: the API of a pool listens on 6443 where nobody chose another';
    return new UserError('API_UNREACHABLE', `${server.host} does not speak TLS`, remedy, { cause });
  }
  const remedy = 'Check the URL, that the pool runs, and that no firewall is in between: this machine needs nothing but this one way out';
  return new UserError('API_UNREACHABLE', `${server.host} cannot be reached: ${cause.message}`, remedy, { cause });
}

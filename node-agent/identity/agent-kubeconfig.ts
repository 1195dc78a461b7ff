/** The agent's kubeconfig: where the pool is, the certificate of this machine, and its key. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import { UserError } from '../../api/errors.ts';
import { providerUser } from '../../api/names.ts';
import type { LoadedKubeconfig } from '../../client/kubeconfig.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import type { Validity } from './renewal-time.ts';

export interface PoolAddress {
  /** URL. */
  server: string;
  caPem: string;
}

export interface AgentCertificate {
  providerUid: string;
  certPem: string;
  validity: Validity;
}

export interface AgentKubeconfig extends PoolAddress, AgentCertificate {
  keyPem: string;
}

/** Throws UserError when the file is missing, damaged or somebody else's than a provider's. */
export async function readAgentKubeconfig(path: string): Promise<AgentKubeconfig> {
  const { cluster, user } = currentEntries(await loadKubeconfig(path));
  const text = (data: string | undefined): string => Buffer.from(data ?? '', 'base64').toString('utf8');
  const [certPem, keyPem, caPem] = [text(user?.certData), text(user?.keyData), text(cluster.caData)];
  return { ...readCertificate(certPem, path), server: cluster.server, caPem, keyPem };
}

/** Replaces it in one step: the client of an agent that runs reads it anew. */
export async function writeAgentKubeconfig(path: string, identity: PoolAddress & { certPem: string; keyPem: string }): Promise<void> {
  const { providerUid } = readCertificate(identity.certPem, path);
  await writeKubeconfig({ ...identity, path, user: providerUser(providerUid) });
}

/**
 * Reads a certificate that the pool made for a request of ours. Throws UserError when it is not what was asked for: another key's, another
 * authority's, or not a provider's.
 */
export function checkCertificate(certPem: string, expected: { keyPem: string; caPem: string }): AgentCertificate {
  const read = readCertificate(certPem, 'the answer of the pool');
  const certificate = new X509Certificate(certPem);
  if (!certificate.checkPrivateKey(createPrivateKey(expected.keyPem))) throw wrong('is for another key');
  if (!certificate.verify(new X509Certificate(expected.caPem).publicKey)) throw wrong("is not signed by the pool's authority");
  return read;
}

/** For talking to the pool as somebody else than the certificate says: nobody, or who has the token. */
export function kubeconfigOf({ server, caPem }: PoolAddress, token?: string): LoadedKubeconfig {
  return {
    clusters: [{ name: 'potluck', server, caData: Buffer.from(caPem).toString('base64'), skipTLSVerify: false }],
    users: [{ name: 'machine', ...(token === undefined ? {} : { token }) }],
    contexts: [{ name: 'potluck', cluster: 'potluck', user: 'machine' }],
    currentContext: 'potluck',
  };
}

/** The uid is what the certificate says: the server goes by it too. */
function readCertificate(certPem: string, where: string): AgentCertificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certPem);
  } catch (error) {
    const what = `${where} has no certificate that can be read: ${(error as Error).message}`;
    throw new UserError('STATE_DAMAGED', what, 'Restore it, or join again with a new token', { cause: error });
  }
  const name = /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? '';
  const prefix = providerUser('');
  if (!name.startsWith(prefix) || name === prefix) {
    const remedy = 'Give the file that was written when this machine joined, with --kubeconfig';
    throw new UserError('PROVIDER_MISMATCH', `the certificate in ${where} is not a provider's`, remedy);
  }
  const validity = { notBeforeMs: certificate.validFromDate.getTime(), notAfterMs: certificate.validToDate.getTime() };
  return { providerUid: name.slice(prefix.length), certPem, validity };
}

function wrong(what: string): UserError {
  return new UserError('POOL_NOT_TRUSTED', `the certificate that the pool sent ${what}`, 'Ask the admin of the pool, and join again');
}

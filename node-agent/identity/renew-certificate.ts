/** A new key and a new certificate for a machine that is in the pool already: as itself, or by its identity key. */
import { UserError } from '../../api/errors.ts';
import { providerUser } from '../../api/names.ts';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import { checkCertificate, kubeconfigOf, writeAgentKubeconfig } from './agent-kubeconfig.ts';
import type { AgentKubeconfig } from './agent-kubeconfig.ts';
import { createCertificateRequest } from './certificate-request.ts';
import { identityAuthorization } from './challenge.ts';
import { readIdentityKey } from './identity-key.ts';
import { randomName } from './pending-request.ts';
import { requestCertificate } from './request-certificate.ts';

export interface CertificateExchange {
  current: AgentKubeconfig;
  /** Of the kubeconfig, which is replaced. */
  path: string;
  signal: AbortSignal;
}

/** Nobody approves this by hand: the pool answers soon or not at all. */
const settleTimeoutMs = 60_000;

/** With the client that has the present certificate. Rejects as `requestCertificate` does. */
export async function renewCertificate(client: Client, { current, path, signal }: CertificateExchange): Promise<void> {
  const { providerUid, server, caPem } = current;
  const { der, keyPem } = await createCertificateRequest(providerUser(providerUid));
  const name = `provider-${providerUid}-${randomName()}`;
  const certPem = await requestCertificate(client, { name, der }, { timeoutMs: settleTimeoutMs, signal });
  const made = checkCertificate(certPem, { keyPem, caPem });
  if (made.providerUid !== providerUid) {
    const what = `the pool sent a certificate for ${made.providerUid}, which is another machine than ${providerUid}`;
    throw new UserError('PROVIDER_MISMATCH', what, 'Ask the admin of the pool');
  }
  await writeAgentKubeconfig(path, { server, caPem, certPem, keyPem });
}

/**
 * Without a certificate: TLS itself might refuse one that is over. A 401 means that the Provider is gone or revoked.
 *
 * @throws {UserError} STATE_DAMAGED when the machine has no identity key (any more).
 */
export async function recoverCertificate(identityKeyPath: string, exchange: CertificateExchange): Promise<void> {
  const key = await readIdentityKey(identityKeyPath);
  if (key === undefined) {
    throw new UserError('STATE_DAMAGED', `${identityKeyPath} is missing`, 'Restore it, or leave the pool and join again with a new token');
  }
  const authorization = identityAuthorization(key);
  const client = createClient({ kubeconfig: kubeconfigOf(exchange.current), userAgent: 'potluck-agent/0.1.0', authorization });
  try {
    await renewCertificate(client, exchange);
  } finally {
    client.close();
  }
}

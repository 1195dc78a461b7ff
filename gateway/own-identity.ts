import { currentEntries, loadKubeconfig } from '../client/kubeconfig.ts';
import { UserError } from '../api/errors.ts';

/** Who this gateway is, and whom it believes. PEM. */
export interface OwnIdentity {
  caPem: string;
  certPem: string;
  keyPem: string;
}

/** From the kubeconfig, which must have certificates in it, as the API server writes it. Throws UserError. */
export async function readOwnIdentity(kubeconfig: string): Promise<OwnIdentity> {
  const { cluster, user } = currentEntries(await loadKubeconfig(kubeconfig));
  const text = (data: string | undefined, what: string): string => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const remedy = 'Give the file that the API server wrote, pki/gateway.kubeconfig, with --kubeconfig';
    throw new UserError('BAD_ARGUMENT', `the kubeconfig ${kubeconfig} has no ${what} in it`, remedy);
  };
  return { caPem: text(cluster.caData, 'authority'), certPem: text(user?.certData, 'certificate'), keyPem: text(user?.keyData, 'key') };
}

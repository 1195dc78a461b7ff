import { writeFileAtomically } from './write-file.ts';

export interface KubeconfigOptions {
  path: string;
  /** URL of the API server. */
  server: string;
  caPem: string;
  certPem: string;
  keyPem: string;
  user: string;
  namespace?: string;
}

/** Writes a kubeconfig that stands alone: certificates and key are in it, and only its owner may read it. */
export async function writeKubeconfig(options: KubeconfigOptions): Promise<void> {
  await writeFileAtomically(options.path, formatKubeconfig(options), 0o600);
}

/** JSON, which is YAML. */
export function formatKubeconfig(options: Omit<KubeconfigOptions, 'path'>): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const context = {
    cluster: 'potluck',
    user: options.user,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'potluck', cluster: { server: options.server, 'certificate-authority-data': base64(options.caPem) } }],
    users: [
      { name: options.user, user: { 'client-certificate-data': base64(options.certPem), 'client-key-data': base64(options.keyPem) } },
    ],
    contexts: [{ name: 'potluck', context }],
    'current-context': 'potluck',
    preferences: {},
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

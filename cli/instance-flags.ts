import { currentEntries, loadKubeconfig } from '../client/kubeconfig.ts';
import { clientFlags } from './with-client.ts';

/** What commands take that are about one instance. */
export const instanceFlags = {
  namespace: { type: 'string', value: 'NAME', short: 'n', description: "the instance's namespace; default the kubeconfig's, else default" },
  ...clientFlags,
} as const;

/** The path of a subresource of the instance's pod, without a query. */
export async function podPath(
  { namespace, kubeconfig }: { namespace: string | undefined; kubeconfig: string },
  name: string,
  subresource: string,
): Promise<string> {
  const place = namespace ?? currentEntries(await loadKubeconfig(kubeconfig)).namespace ?? 'default';
  return `/api/v1/namespaces/${encodeURIComponent(place)}/pods/${encodeURIComponent(name)}/${subresource}`;
}

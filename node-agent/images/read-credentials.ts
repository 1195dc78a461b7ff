/** Reads the secrets that open the registry of an image, with the provider's own rights. What is in them stays in memory, and only as long as the pull. */
import { secrets } from '../../api/resource-type.ts';
import { ApiError, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { ImageWant } from '../plan/world.ts';
import { credentialsFor } from './pull-credentials.ts';
import type { PullSecret, RegistryCredentials } from './pull-credentials.ts';

/** For all secrets of one image. */
const timeoutMs = 15_000;

/** Rejects with words for people, which have names of secrets and nothing of what is in them. A secret that is missing is passed over, as kubelet does. */
export async function readCredentials(client: Pick<Client, 'get'>, want: ImageWant): Promise<readonly RegistryCredentials[]> {
  const { namespace, pullSecrets, reference } = want;
  const signal = AbortSignal.timeout(timeoutMs);
  const found: { name: string; secret: PullSecret }[] = [];
  for (const name of pullSecrets) {
    try {
      found.push({ name, secret: await client.get(secrets, { namespace, name }, { signal }) });
    } catch (error) {
      if (isNotFound(error)) continue;
      const why = error instanceof ApiError ? error.message : 'the API does not answer';
      throw new Error(`the secret ${name} cannot be read: ${why}`, { cause: error });
    }
  }
  return credentialsFor(reference, found);
}

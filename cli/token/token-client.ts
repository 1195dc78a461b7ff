import { UserError } from '../../api/errors.ts';
import { ApiError } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';

const timeoutMs = 30_000;

/** Runs something with the client of a kubeconfig, within 30 s. What the API, or the way to it, says against it becomes a UserError. */
export async function withTokenClient<T>(
  kubeconfig: string,
  doing: string,
  run: (client: Client, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = createClient({ kubeconfig, userAgent: 'potluck-token/0.1.0' });
  try {
    return await run(client, AbortSignal.timeout(timeoutMs));
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (!(error instanceof ApiError)) {
      const remedy = `Check that the pool runs, and that ${kubeconfig} is of this pool`;
      throw new UserError('API_UNREACHABLE', `the API does not answer: ${(error as Error).message}`, remedy, { cause: error });
    }
    if (error.code === 401) {
      const remedy = 'Ask the admin of the pool for a new one, or choose another with --kubeconfig';
      throw new UserError('API_UNREACHABLE', `the pool does not accept ${kubeconfig}`, remedy, { cause: error });
    }
    const remedy =
      error.code === 403 ? 'Choose who you are with --kubeconfig, or ask the admin of the pool' : 'Change it, and run this again';
    throw new UserError('BAD_ARGUMENT', `you cannot ${doing}: ${error.message}`, remedy, { cause: error });
  } finally {
    client.close();
  }
}

import { UserError } from '../api/errors.ts';
import { ApiError } from '../client/client.ts';
import { createClient, type KubeClient } from '../client/kube-client.ts';
import { homeFlag } from './command-line/home-flag.ts';
import { kubeconfigFlag, resolveKubeconfig } from './command-line/kubeconfig-flag.ts';
import { TooLateError } from './until-true.ts';

/** What every command that asks the API takes. */
export const clientFlags = { kubeconfig: kubeconfigFlag, home: homeFlag } as const;

export interface ClientContext {
  client: KubeClient;
  /** The file that says who we are. */
  kubeconfig: string;
}

/** Gives a command its client, and says in one line what the API had against it. */
export async function withClient<T>(
  values: { readonly kubeconfig: string | undefined; readonly home: string | undefined },
  work: (context: ClientContext) => Promise<T>,
): Promise<T> {
  const kubeconfig = resolveKubeconfig(values);
  const client = createClient({ kubeconfig, userAgent: 'potluck/0.1.0' });
  try {
    return await work({ client, kubeconfig });
  } catch (error) {
    throw explain(error, kubeconfig);
  } finally {
    client.close();
  }
}

function explain(error: unknown, kubeconfig: string): unknown {
  if (error instanceof UserError) return error;
  if (error instanceof ApiError) {
    if (error.code === 401) {
      return new UserError(
        'API_REFUSED',
        `the API does not believe ${kubeconfig}`,
        'Its token or certificate ran out, or was revoked; ask an admin for another',
        {
          cause: error,
        },
      );
    }
    return new UserError('API_REFUSED', `the API refused: ${oneLine(error.message)}`, remedies[error.code] ?? 'Correct what it names', {
      cause: error,
    });
  }
  if (error instanceof TooLateError)
    return new UserError('API_UNREACHABLE', oneLine(error.message), 'Look at the log of the controller', { cause: error });
  if (error instanceof Error && ('code' in error || error.name === 'TimeoutError' || error.name === 'AbortError')) {
    return new UserError(
      'API_UNREACHABLE',
      `the API does not answer: ${oneLine(error.message)}`,
      `Check the server in ${kubeconfig}, and that the pool runs`,
      {
        cause: error,
      },
    );
  }
  return error;
}

const remedies: Readonly<Record<number, string>> = {
  403: 'Ask an admin of the pool',
  404: 'Check the name',
  409: 'Look at what is there now, and try again',
  429: 'Try again later',
};

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/\.$/, '');
}

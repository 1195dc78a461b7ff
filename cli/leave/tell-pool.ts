/** What a machine that leaves says to the pool, with its own identity. */
import type { Provider } from '../../api/generated/provider.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { formatTime } from '../../api/time.ts';
import { ApiError } from '../../client/client.ts';
import { createClient, type KubeClient } from '../../client/kube-client.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { readAgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import { recoverCertificate } from '../../node-agent/identity/renew-certificate.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { UserError } from '../../api/errors.ts';

/** The pool answered that it does not know this machine: there is nothing to tell it any more. */
export class UnknownToPoolError extends Error {
  override readonly name = 'UnknownToPoolError';
}

export interface PoolTalk {
  /** Says that the machine leaves; `grace: false` leaves instances no time. */
  announce(grace: boolean): Promise<void>;
  /** `namespace/name` of what is still assigned to it. */
  assigned(): Promise<string[]>;
  /** Removes the Provider. It being gone is no error. */
  removeProvider(): Promise<void>;
  close(): void;
}

const timeoutMs = 10_000;

/** Rejects with UnknownToPoolError, with UserError `API_UNREACHABLE`, or with the API's own error. */
export function talkToPool(home: string, enrolment: Enrolment, signal: AbortSignal): PoolTalk {
  const folder = agentFolder(home);
  const client = createClient({ kubeconfig: folder.kubeconfig, userAgent: 'potluck-leave/0.1.0' });
  const ask = async <T>(run: (client: KubeClient) => Promise<T>): Promise<T> => {
    try {
      return await run(client).catch(async (error: unknown) => {
        if (!isUnauthorized(error)) throw error;
        await recover(folder, signal);
        return run(client);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw explain(error);
    }
  };
  const { providerName: name, providerUid: uid } = enrolment;
  const request = { signal, timeoutMs };
  return {
    announce: async (grace) => {
      await ask((pool) => updateStatus(pool, providers, { name }, (draft) => sayLeaving(draft, uid, grace, Date.now()), request));
    },
    assigned: async () => {
      const { items } = await ask((pool) => pool.list(instances, { ...request, fieldSelector: `status.assignment.providerUID=${uid}` }));
      return items.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name ?? ''}`);
    },
    removeProvider: () => ask((pool) => removeProvider(pool, { name, uid }, request)),
    close: () => client.close(),
  };
}

/** Pure. The grace counts from `leavingAt`: who gives none says that it left that long ago. */
export function sayLeaving(draft: Provider, uid: string, grace: boolean, nowMs: number): false | undefined {
  if (draft.metadata.uid !== uid) throw new UnknownToPoolError('its Provider is another one');
  if (grace && draft.status?.leavingAt !== undefined) return false;
  const graceMs = grace ? 0 : (draft.spec.withdrawalGraceSeconds ?? 60) * 1000;
  draft.status = { ...draft.status, leavingAt: formatTime(nowMs - graceMs) };
  return undefined;
}

async function removeProvider(
  client: KubeClient,
  { name, uid }: { name: string; uid: string },
  request: { signal: AbortSignal; timeoutMs: number },
): Promise<void> {
  try {
    await client.delete(providers, { name }, { ...request, preconditions: { uid } });
  } catch (error) {
    // Gone, or another machine's by now.
    if (!(error instanceof ApiError) || (error.code !== 404 && error.code !== 409)) throw error;
  }
}

/** The certificate may only be over. */
async function recover(folder: ReturnType<typeof agentFolder>, signal: AbortSignal): Promise<void> {
  const current = await readAgentKubeconfig(folder.kubeconfig);
  await recoverCertificate(folder.identityKey, { current, path: folder.kubeconfig, signal });
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ApiError && error.code === 401;
}

function explain(error: unknown): Error {
  if (error instanceof UserError || error instanceof UnknownToPoolError) return error;
  if (error instanceof ApiError) {
    if (isUnauthorized(error) || error.code === 404) return new UnknownToPoolError(error.message, { cause: error });
    return new UserError('LEAVE_UNFINISHED', `the pool refused: ${error.message}`, 'Run potluck leave again, or ask the admin', {
      cause: error,
    });
  }
  const remedy = 'Run this again when it can be reached; or, with --force, remove what is here and have an admin delete the Provider';
  return new UserError('API_UNREACHABLE', `the pool cannot be reached: ${(error as Error).message}`, remedy, { cause: error });
}

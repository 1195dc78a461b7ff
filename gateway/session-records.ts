/** Writes into a Provider's status who is connected to which gateway: by compare-and-set, so that of several gateways one wins each number. */
import type { Provider } from '../api/generated/provider.ts';
import { providers } from '../api/resource-type.ts';
import { formatTime } from '../api/time.ts';
import { isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import { updateStatus } from '../runtime/status-writer.ts';

const timeoutMs = 5_000;

/** Answers the number of the new session; undefined when the Provider is another one by now, or revoked. */
export async function claimSession(client: Client, provider: Provider, gateway: string, nowMs: number): Promise<number | undefined> {
  const { name = '', uid } = provider.metadata;
  let session: number | undefined;
  const claim = (draft: Provider): false | undefined => {
    session = undefined;
    if (draft.metadata.uid !== uid || draft.spec.revoked === true) return false;
    session = (draft.status?.tunnel?.session ?? 0) + 1;
    draft.status = { ...draft.status, tunnel: { gateway, session, connectedAt: formatTime(nowMs) } };
    return undefined;
  };
  try {
    await updateStatus(client, providers, { name }, claim, { from: provider, timeoutMs });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
  return session;
}

/** The session is over; nothing is written when another one followed it. */
export async function recordEnd(
  client: Client,
  provider: { name: string; uid: string },
  ended: { gateway: string; session: number },
  nowMs: number,
): Promise<void> {
  const write = (draft: Provider): false | undefined => {
    const tunnel = draft.status?.tunnel;
    if (draft.metadata.uid !== provider.uid || tunnel === undefined || tunnel.connectedAt === undefined) return false;
    if (tunnel.gateway !== ended.gateway || tunnel.session !== ended.session) return false;
    const { gateway, session } = tunnel;
    draft.status = { ...draft.status, tunnel: { gateway, session, disconnectedAt: formatTime(nowMs) } };
    return undefined;
  };
  await updateStatus(client, providers, { name: provider.name }, write, { timeoutMs }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
}

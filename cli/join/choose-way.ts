/** Whether a machine joins a pool, or goes on as who it is there. */
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { UserError } from '../../api/errors.ts';
import type { JoinTokenText } from '../../api/join-token-format.ts';
import { ApiError } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { AgentFolder } from '../../node-agent/identity/agent-folder.ts';
import { kubeconfigOf, readAgentKubeconfig, writeAgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import { authorityHash } from '../../node-agent/identity/find-authority.ts';
import { explainTlsFailure } from '../../node-agent/identity/join-errors.ts';

/** What `potluck token create` printed. */
export interface Invitation {
  server: URL;
  token: JoinTokenText;
}

export interface Situation {
  folder: AgentFolder;
  enrolment: Enrolment | undefined;
  invitation: Invitation | undefined;
  /** The authority of a pool is in this home. */
  runsPool: boolean;
  /** Asks the pool whether it knows the machine no more. */
  isForgotten: (enrolment: Enrolment) => Promise<boolean>;
}

export type Way = { kind: 'go-on'; enrolment: Enrolment } | { kind: 'join'; invitation: Invitation };

/** Throws UserError for what cannot be: two pools on one home, or going on where nothing was begun. */
export async function chooseWay({ folder, enrolment, invitation, runsPool, isForgotten }: Situation): Promise<Way> {
  if (runsPool || enrolment?.by === 'up') {
    const remedy = 'It lends itself while potluck up runs; choose another --home for another pool';
    throw new UserError('ALREADY_JOINED', 'the pool of this home runs on this machine itself', remedy);
  }
  const isEnrolled = enrolment !== undefined && existsSync(folder.kubeconfig);
  // Of what was left already only files may remain: without a token there is nothing to go on with, with one it is a new beginning.
  const isGone = enrolment?.leaving === 'drained';
  if (invitation === undefined) {
    if (isEnrolled && !isGone) return { kind: 'go-on', enrolment };
    const remedy = 'Ask a member or admin for a command to run here: potluck token create prints it';
    if (isGone) throw new UserError('NOT_JOINED', 'this machine is about to leave its pool', `Run potluck leave again. ${remedy}`);
    throw new UserError('NOT_JOINED', 'this machine has not joined a pool', remedy);
  }
  if (!isEnrolled) return { kind: 'join', invitation };
  const { caPem } = await readAgentKubeconfig(folder.kubeconfig);
  if (authorityHash(new X509Certificate(caPem)) !== invitation.token.caHash) {
    const what = `this machine is ${enrolment.providerName} in another pool than the token is for`;
    throw new UserError('ALREADY_JOINED', what, 'Leave that pool first, with potluck leave; or choose another --home');
  }
  // Its Provider was deleted, and whoever has a token may come back.
  return isGone || (await isForgotten(enrolment)) ? { kind: 'join', invitation } : { kind: 'go-on', enrolment };
}

/** The same pool at another address: believed once it has shown by that name that it is the same. */
export async function moveToServer(folder: AgentFolder, server: URL, options: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
  const known = await readAgentKubeconfig(folder.kubeconfig);
  if (new URL(known.server).origin === server.origin) return;
  const moved = { ...known, server: server.origin };
  const client = createClient({ kubeconfig: kubeconfigOf(moved), userAgent: 'potluck-join/0.1.0' });
  try {
    await client.request('GET', '/version', undefined, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof ApiError)) throw explainTlsFailure(server, error as Error);
  } finally {
    client.close();
  }
  await writeAgentKubeconfig(folder.kubeconfig, moved);
}

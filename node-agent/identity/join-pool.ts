/** How a machine becomes a provider: docs/identity.md, "Joining, step by step". */
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../api/errors.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { bearerOf } from '../../api/join-token-format.ts';
import type { JoinTokenText } from '../../api/join-token-format.ts';
import {
  identityKeyAnnotation,
  identitySignatureAnnotation,
  joinSignatureContext,
  locationAnnotation,
  offerAnnotation,
  providerNameAnnotation,
} from '../../api/names.ts';
import { providers } from '../../api/resource-type.ts';
import { ApiError } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import type { AgentFolder } from './agent-folder.ts';
import { makeAgentFolder } from './agent-folder.ts';
import type { PoolAddress } from './agent-kubeconfig.ts';
import { checkCertificate, kubeconfigOf, writeAgentKubeconfig } from './agent-kubeconfig.ts';
import { findAuthority } from './find-authority.ts';
import type { IdentityKey } from './identity-key.ts';
import { openIdentityKey } from './identity-key.ts';
import { explainJoinFailure, explainTlsFailure } from './join-errors.ts';
import { openPendingRequest, removePendingRequest } from './pending-request.ts';
import type { PendingRequest } from './pending-request.ts';
import { requestCertificate } from './request-certificate.ts';

/** What the machine says of itself; its owner may change all of it later. */
export interface Proposal {
  name: string;
  offer: Readonly<Record<string, string>>;
  location?: NonNullable<Provider['spec']['location']>;
}

export interface JoinOptions {
  server: URL;
  token: JoinTokenText;
  folder: AgentFolder;
  proposal: Proposal;
  /** For each connection and each answer. */
  answerTimeoutMs: number;
  /** Until the certificate is there: somebody may have to approve by hand. */
  approvalTimeoutMs: number;
  signal: AbortSignal;
  /** Shows each step; `report` says where it is. */
  step: <T>(label: string, run: (report: (where: string) => void) => Promise<T>) => Promise<T>;
}

const userAgent = 'potluck-join/0.1.0';
/** Until the servers know of the Provider that was just made. */
const providerTimeoutMs = 10_000;

/** Resolves when the kubeconfig is written. Every step may be repeated. Throws UserError for what a person must act on. */
export async function joinPool(options: JoinOptions): Promise<{ providerName: string; providerUid: string }> {
  const { server, token, folder, answerTimeoutMs, signal, step } = options;
  await makeAgentFolder(folder);
  const address = await step(`authority of the pool at ${server.host}`, async () => {
    const caPem = await findAuthority({ server, caHash: token.caHash, timeoutMs: answerTimeoutMs, signal });
    const found = { server: server.origin, caPem };
    await verify(found, options);
    return found;
  });
  const identity = await openIdentityKey(folder.identityKey);
  const request = await openPendingRequest(folder, token.id);
  const certPem = await step('certificate for this machine', (report) =>
    askForCertificate({ address, identity, request, report }, options),
  );
  const { providerUid } = checkCertificate(certPem, { keyPem: request.keyPem, caPem: address.caPem });
  await writeAgentKubeconfig(folder.kubeconfig, { ...address, certPem, keyPem: request.keyPem });
  const providerName = await readOwnName(providerUid, options);
  await removePendingRequest(folder);
  return { providerName, providerUid };
}

/** Ordinary verification, before the secret is anywhere near the connection. */
async function verify(address: PoolAddress, { server, answerTimeoutMs, signal }: JoinOptions): Promise<void> {
  const client = createClient({ kubeconfig: kubeconfigOf(address), userAgent });
  try {
    await client.request('GET', '/version', undefined, { signal, timeoutMs: answerTimeoutMs });
  } catch (error) {
    // An answer, whatever it says, came through a connection that holds.
    if (error instanceof ApiError) return;
    signal.throwIfAborted();
    throw explainTlsFailure(server, error as Error);
  } finally {
    client.close();
  }
}

interface Asking {
  address: PoolAddress;
  identity: IdentityKey;
  request: PendingRequest;
  report: (where: string) => void;
}

async function askForCertificate({ address, identity, request, report }: Asking, options: JoinOptions): Promise<string> {
  const { token, proposal, folder, approvalTimeoutMs, signal, server } = options;
  const client = createClient({ kubeconfig: kubeconfigOf(address, bearerOf(token)), userAgent });
  try {
    const { name, der } = request;
    const annotations = joinAnnotations(identity, request, proposal);
    const onPending = (): void => report(`an admin may have to approve it: kubectl certificate approve ${name}`);
    return await requestCertificate(
      client,
      { name, der, annotations, mayBeThere: true },
      { timeoutMs: approvalTimeoutMs, signal, onPending },
    );
  } catch (error) {
    signal.throwIfAborted();
    const explained = explainJoinFailure(error, { server, requestName: request.name });
    // What is refused is not asked for again: the next token starts anew.
    if (explained.isFinal) await removePendingRequest(folder);
    throw explained.error;
  } finally {
    client.close();
  }
}

function joinAnnotations(identity: IdentityKey, request: PendingRequest, proposal: Proposal): Record<string, string> {
  const message = Buffer.concat([Buffer.from(`${joinSignatureContext}\n${request.name}\n`), request.der]);
  return {
    [identityKeyAnnotation]: identity.publicKey,
    [identitySignatureAnnotation]: identity.sign(message),
    [providerNameAnnotation]: proposal.name,
    [offerAnnotation]: JSON.stringify(proposal.offer),
    ...(proposal.location === undefined ? {} : { [locationAnnotation]: JSON.stringify(proposal.location) }),
  };
}

/** The pool may have given it another name than it proposed. */
async function readOwnName(providerUid: string, { folder, signal, answerTimeoutMs }: JoinOptions): Promise<string> {
  const client = createClient({ kubeconfig: folder.kubeconfig, userAgent });
  try {
    return await findName(client, providerUid, { signal, timeoutMs: answerTimeoutMs });
  } finally {
    client.close();
  }
}

async function findName(client: KubeClient, providerUid: string, request: { signal: AbortSignal; timeoutMs: number }): Promise<string> {
  for (const deadlineMs = performance.now() + providerTimeoutMs; ;) {
    let why: unknown = new Error('it does not say its name');
    try {
      const found = await askForName(client, request);
      if (found !== undefined && (await client.get(providers, { name: found }, request)).metadata.uid === providerUid) return found;
    } catch (error) {
      request.signal.throwIfAborted();
      why = error;
    }
    if (performance.now() > deadlineMs) {
      const remedy = 'Run the same command again: what was reached so far is kept';
      throw new UserError('JOIN_REFUSED', `the pool does not show this machine its Provider: ${(why as Error).message}`, remedy, {
        cause: why,
      });
    }
    await delay(200, undefined, { signal: request.signal });
  }
}

/** The pool knows who we are by the certificate, and by what name. */
async function askForName(client: KubeClient, request: { signal: AbortSignal; timeoutMs: number }): Promise<string | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = (await client.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review, request)) as {
    status?: { userInfo?: { extra?: Readonly<Record<string, readonly string[] | undefined>> } };
  };
  return answer.status?.userInfo?.extra?.[providerNameAnnotation]?.[0];
}

/**
 * Lets a machine in that shows a join token: claim, approval, Provider, certificate. Each step is found done when it was; `docs/states.md`
 * has what a crash between them leaves.
 */
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { Member } from '../../api/generated/member.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providersGroup, providerUser } from '../../api/names.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { reasons } from '../../api/reasons.ts';
import { apiVersionOf, joinTokens, members, providers } from '../../api/resource-type.ts';
import type { CertificateSigningRequest, ResourceType } from '../../api/resource-type.ts';
import { ApiError, isAlreadyExists, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { collectionPath } from '../../client/resource-path.ts';
import { WaitingError } from '../../runtime/controller.ts';
import { chooseProvider } from './choose-provider.ts';
import type { ProviderChoice, Wanted } from './choose-provider.ts';
import { judgeToken, withProviderName } from './judge-token.ts';
import { readJoin } from './read-join.ts';
import type { JoinRequest } from './read-join.ts';
import { invalidRequest, ownerMayNotLend, tokenRefusal } from './refusals.ts';
import { isSaid } from './request-conditions.ts';
import type { Statement } from './request-conditions.ts';
import type { RequestWriter } from './request-writer.ts';
import type { CertificateSigner, ReadRequest } from './signer.ts';

export type Tell = (about: KubernetesObject, event: { type: 'Normal' | 'Warning'; reason: string; message: string }) => void;

export interface JoiningOptions {
  client: Pick<Client, 'create' | 'get' | 'list' | 'patch' | 'replaceStatus' | 'request'>;
  signer: CertificateSigner;
  writer: RequestWriter;
  tell: Tell;
}

/** What is known of a request once its token and its owner let it in. */
interface Admitted {
  token: JoinToken;
  join: JoinRequest;
  wanted: Wanted;
}

export class Joining {
  readonly #options: JoiningOptions;
  /** One machine after another becomes a Provider: two requests of one machine must not become two. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** Goes as far as it can. Throws on conflicts, and then begins anew. */
  async advance(csr: CertificateSigningRequest, read: ReadRequest, nowMs: number): Promise<void> {
    const { signer, writer } = this.#options;
    const { join, problem } = readJoin(csr, read, signer);
    if (join === undefined) return writer.refuse(csr, invalidRequest(problem), nowMs);
    const token = await this.#find(joinTokens, join.tokenId);
    const verdict = judgeToken(token, csr, nowMs);
    if (token === undefined || verdict.kind === 'refuse') return this.#refuseToken(csr, token, nowMs);
    const { owner, providerName: fixedName } = token.spec;
    if (!mayLend(await this.#find(members, owner))) return this.#refuse(csr, token, ownerMayNotLend(owner), nowMs);
    const proposedName = fixedName ?? join.proposedName;
    if (proposedName === undefined)
      return writer.refuse(csr, invalidRequest('the machine proposes no name, and the join token has none'), nowMs);
    const admitted = { token, join, wanted: { identityKey: join.identityKey, owner, fixedName, proposedName } };
    const choice = await this.#choose(admitted.wanted);
    if (choice.kind === 'refuse') return this.#fail(csr, token, choice.refusal, nowMs);
    if (verdict.kind === 'claim') {
      const unfit = choice.kind === 'create' ? await this.#tryCreate(choice.name, admitted) : undefined;
      if (unfit !== undefined) return writer.refuse(csr, invalidRequest(unfit), nowMs);
      const { client } = this.#options;
      admitted.token = await client.replaceStatus(joinTokens, { ...token, status: { ...token.status, claims: verdict.claims } });
    }
    const approved = await this.#approve(csr, token, nowMs);
    if (approved !== undefined) await this.#finish(approved, admitted, nowMs);
  }

  /** Undefined while an admin has not decided. */
  async #approve(csr: CertificateSigningRequest, token: JoinToken, nowMs: number): Promise<CertificateSigningRequest | undefined> {
    const { tell, writer } = this.#options;
    if (isSaid(csr, 'Approved')) return csr;
    const { name = '' } = csr.metadata;
    if (token.spec.approval === 'Manual') {
      const message = `a machine waits for an admin: kubectl certificate approve ${name}, or deny`;
      tell(token, { type: 'Normal', reason: reasons.joinWaits, message });
      return undefined;
    }
    return writer.approve(
      csr,
      { reason: reasons.joinAccepted, message: `a use of the join token ${token.metadata.name} was spent on it` },
      nowMs,
    );
  }

  async #finish(csr: CertificateSigningRequest, admitted: Admitted, nowMs: number): Promise<void> {
    const { client, tell, writer } = this.#options;
    const { token, wanted } = admitted;
    const outcome = await this.#inTurn(() => this.#become(admitted));
    if (outcome.kind === 'refuse') return this.#fail(csr, token, outcome.refusal, nowMs);
    const { name = '', uid = '' } = outcome.provider.metadata;
    const claims = token.status?.claims ?? [];
    const named = withProviderName(claims, csr.metadata.uid ?? '', name);
    if (named !== claims) await client.replaceStatus(joinTokens, { ...token, status: { ...token.status, claims: named } });
    const subject = [
      { type: 'O', value: providersGroup },
      { type: 'CN', value: providerUser(uid) },
    ];
    await writer.sign(csr, { subject, keyEncipherment: false });
    const joined = { type: 'Normal', reason: reasons.providerJoined } as const;
    tell(outcome.provider, { ...joined, message: `the machine joined with the token ${token.metadata.name}, as ${wanted.owner}'s` });
    tell(token, { ...joined, message: `a machine joined as ${name}` });
  }

  /** The Provider that the machine is, made or adopted if need be. */
  async #become(admitted: Admitted): Promise<Extract<ProviderChoice, { kind: 'use' | 'refuse' }>> {
    const { client } = this.#options;
    const choice = await this.#choose(admitted.wanted);
    switch (choice.kind) {
      case 'use':
      case 'refuse':
        return choice;
      case 'adopt': {
        const { name = '', resourceVersion } = choice.provider.metadata;
        const { identityKey } = admitted.wanted;
        const provider = await client.patch(providers, { name }, { metadata: { resourceVersion }, spec: { identityKey } });
        return { kind: 'use', provider };
      }
      case 'create':
        return { kind: 'use', provider: await this.#create(choice.name, admitted) };
    }
  }

  async #create(name: string, admitted: Admitted): Promise<Provider> {
    try {
      return await this.#options.client.create(providers, newProvider(name, admitted));
    } catch (error) {
      if (isAlreadyExists(error)) throw new WaitingError(reasons.nameTaken, `somebody else has just become ${name}`);
      throw error;
    }
  }

  async #choose(wanted: Wanted): Promise<ProviderChoice> {
    const { items } = await this.#options.client.list(providers);
    const choice = chooseProvider(items, wanted);
    if ((choice.kind === 'use' || choice.kind === 'adopt') && choice.provider.metadata.deletionTimestamp !== undefined) {
      throw new WaitingError(reasons.providerGone, `${choice.provider.metadata.name ?? ''} is being deleted`);
    }
    return choice;
  }

  /** Why the API would not take the Provider, before anything is spent on it; a name that was taken meanwhile is not the machine's fault. */
  async #tryCreate(name: string, admitted: Admitted): Promise<string | undefined> {
    try {
      await this.#options.client.request('POST', `${collectionPath(providers)}?dryRun=All`, newProvider(name, admitted));
      return undefined;
    } catch (error) {
      if (isAlreadyExists(error)) return undefined;
      if (error instanceof ApiError && unfitCodes.has(error.code)) return error.message.slice(0, longestProblem);
      throw error;
    }
  }

  async #find<T extends KubernetesObject>(type: ResourceType<T>, name: string): Promise<T | undefined> {
    try {
      return await this.#options.client.get(type, { name });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #refuseToken(csr: CertificateSigningRequest, token: JoinToken | undefined, nowMs: number): Promise<void> {
    if (token === undefined) return this.#options.writer.refuse(csr, tokenRefusal, nowMs);
    return this.#refuse(csr, token, tokenRefusal, nowMs);
  }

  async #refuse(csr: CertificateSigningRequest, token: JoinToken, why: Statement, nowMs: number): Promise<void> {
    await this.#options.writer.refuse(csr, why, nowMs);
    this.#options.tell(token, { type: 'Warning', ...why });
  }

  async #fail(csr: CertificateSigningRequest, token: JoinToken, why: Statement, nowMs: number): Promise<void> {
    await this.#options.writer.fail(csr, why, nowMs);
    this.#options.tell(token, { type: 'Warning', ...why });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

const longestProblem = 1024;
/** What the API answers to an object that it will never take. */
const unfitCodes: ReadonlySet<number> = new Set([400, 413, 422]);

/** Whom no Member stands for may: an admin made the token. */
function mayLend(member: Member | undefined): boolean {
  if (member === undefined) return true;
  const { permissions = [] } = member.spec;
  return member.metadata.deletionTimestamp === undefined && (permissions.includes('Lend') || permissions.includes('Admin'));
}

function newProvider(name: string, { join, wanted }: Admitted): Provider {
  const { offer, location } = join;
  return {
    apiVersion: apiVersionOf(providers),
    kind: providers.kind,
    metadata: { name },
    spec: { owner: wanted.owner, identityKey: join.identityKey, offer, ...(location === undefined ? {} : { location }) },
  };
}

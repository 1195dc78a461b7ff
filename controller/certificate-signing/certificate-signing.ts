/** Gives machines their certificates, signs what admins approved for users of the API, and removes requests that have stood long enough. */
import type { Provider } from '../../api/generated/provider.ts';
import { bootstrappersGroup, bootstrapUserPrefix, providersGroup, providerSigner, providerUser } from '../../api/names.ts';
import { reasons } from '../../api/reasons.ts';
import { certificateSigningRequests, providers } from '../../api/resource-type.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { Joining } from './join.ts';
import type { Tell } from './join.ts';
import { requestTimeLeftMs } from './judge-age.ts';
import type { KeepingTimes } from './judge-age.ts';
import { clientSigner, judgeClientRequest } from './judge-client-request.ts';
import { askingProvider, judgeRenewal } from './judge-renewal.ts';
import { invalidRequest, unknownRequester } from './refusals.ts';
import { isSaid, isSettled } from './request-conditions.ts';
import { RequestWriter } from './request-writer.ts';
import type { CertificateSigner, ReadRequest } from './signer.ts';

export interface CertificateSigningOptions {
  client: Pick<Client, 'create' | 'delete' | 'get' | 'list' | 'patch' | 'replaceStatus' | 'request'>;
  requests: Informer<CertificateSigningRequest>;
  /** Cached: a Provider that is revoked stays so, and one that is missing is looked for in the API. */
  providerOf: (uid: string) => Provider | undefined;
  signer: CertificateSigner;
  /** The longest that a certificate holds. */
  durationMs: number;
  times: KeepingTimes;
  tell: Tell;
}

export class CertificateSigning implements Controller {
  readonly name = 'certificate-signing';
  readonly concurrency = 4;
  readonly #options: CertificateSigningOptions;
  readonly #writer: RequestWriter;
  readonly #joining: Joining;

  constructor(options: CertificateSigningOptions) {
    const { client, signer, durationMs, tell } = options;
    this.#options = options;
    this.#writer = new RequestWriter({ client, signer, durationMs });
    this.#joining = new Joining({ client, signer, writer: this.#writer, tell });
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#options.requests.onChange((name) => {
      enqueue(name);
    });
  }

  async reconcile(key: string, { nowMs }: ReconcileContext): Promise<Outcome> {
    const { requests, times } = this.#options;
    await requests.whenSynced();
    const request = requests.get(key);
    if (request === undefined || request.metadata.deletionTimestamp !== undefined) return settled;
    const leftMs = requestTimeLeftMs(request, times, nowMs);
    if (leftMs === 0) return this.#remove(request);
    if (!isSettled(request)) await this.#settle(request, nowMs);
    return recheckAfter(leftMs);
  }

  async #settle(request: CertificateSigningRequest, nowMs: number): Promise<void> {
    const { signerName } = request.spec;
    if (signerName !== providerSigner && (signerName !== clientSigner || !isSaid(request, 'Approved'))) return;
    const read = this.#options.signer.read(request.spec.request);
    if (read.problem !== undefined) return this.#writer.refuse(request, invalidRequest(read.problem), nowMs);
    if (signerName === clientSigner) return this.#signClient(request, read, nowMs);
    if (isBootstrapper(request)) return this.#joining.advance(request, read, nowMs);
    const uid = askingProvider(request);
    if (uid === undefined) return this.#writer.refuse(request, unknownRequester, nowMs);
    return this.#renew(request, read, { uid, nowMs });
  }

  async #renew(request: CertificateSigningRequest, read: ReadRequest, { uid, nowMs }: { uid: string; nowMs: number }): Promise<void> {
    const provider = await this.#findProvider(uid);
    const refusal = judgeRenewal(request, read, provider);
    if (refusal !== undefined) {
      await this.#writer.refuse(request, refusal, nowMs);
      if (provider !== undefined) this.#options.tell(provider, { type: 'Warning', ...refusal });
      return;
    }
    const message = 'the provider is in the pool';
    const approved = isSaid(request, 'Approved')
      ? request
      : await this.#writer.approve(request, { reason: reasons.renewalAccepted, message }, nowMs);
    const subject = [
      { type: 'O', value: providersGroup },
      { type: 'CN', value: providerUser(uid) },
    ];
    await this.#writer.sign(approved, { subject, keyEncipherment: false });
  }

  async #signClient(request: CertificateSigningRequest, read: ReadRequest, nowMs: number): Promise<void> {
    const refusal = judgeClientRequest(request, read);
    if (refusal !== undefined) return this.#writer.fail(request, refusal, nowMs);
    const keyEncipherment = request.spec.usages?.includes('key encipherment') === true;
    await this.#writer.sign(request, { subject: read.subject, keyEncipherment });
  }

  async #findProvider(uid: string): Promise<Provider | undefined> {
    const known = this.#options.providerOf(uid);
    if (known !== undefined) return known;
    const { items } = await this.#options.client.list(providers);
    return items.find(({ metadata }) => metadata.uid === uid);
  }

  async #remove({ metadata }: CertificateSigningRequest): Promise<Outcome> {
    const { name = '', uid, resourceVersion } = metadata;
    const preconditions = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
    try {
      await this.#options.client.delete(certificateSigningRequests, { name }, { preconditions });
    } catch (error) {
      // Somebody said something of it meanwhile, or removed it: the informer will tell.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    return settled;
  }
}

function isBootstrapper({ spec }: CertificateSigningRequest): boolean {
  return spec.username?.startsWith(bootstrapUserPrefix) === true && spec.groups?.includes(bootstrappersGroup) === true;
}

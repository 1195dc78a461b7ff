/** Writes what was decided of a signing request; each write compares the state that it was decided on. */
import { certificateSigningRequests } from '../../api/resource-type.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { keyOf } from '../../api/object.ts';
import type { Client } from '../../client/client.ts';
import { objectPath } from '../../client/resource-path.ts';
import { lifetimeMs } from './lifetime.ts';
import { isSaid, withCondition } from './request-conditions.ts';
import type { Said, Statement } from './request-conditions.ts';
import type { CertificateOrder, CertificateSigner } from './signer.ts';

export interface RequestWriterOptions {
  client: Pick<Client, 'request' | 'replaceStatus'>;
  signer: CertificateSigner;
  /** The longest that a certificate holds. */
  durationMs: number;
}

export class RequestWriter {
  readonly #options: RequestWriterOptions;

  constructor(options: RequestWriterOptions) {
    this.#options = options;
  }

  approve(request: CertificateSigningRequest, why: Statement, nowMs: number): Promise<CertificateSigningRequest> {
    return this.#say(request, 'Approved', why, nowMs);
  }

  /** Denies it, or lets it fail where it was approved. */
  async refuse(request: CertificateSigningRequest, why: Statement, nowMs: number): Promise<void> {
    if (isSaid(request, 'Approved')) return this.fail(request, why, nowMs);
    await this.#say(request, 'Denied', why, nowMs);
  }

  async fail(request: CertificateSigningRequest, why: Statement, nowMs: number): Promise<void> {
    await this.#options.client.replaceStatus(certificateSigningRequests, withCondition(request, 'Failed', why, nowMs));
  }

  async sign(request: CertificateSigningRequest, order: Pick<CertificateOrder, 'subject' | 'keyEncipherment'>): Promise<void> {
    const { client, signer, durationMs } = this.#options;
    const { spec, status } = request;
    const lifetime = lifetimeMs(spec.expirationSeconds, durationMs);
    const certificate = await signer.sign({ ...order, request: spec.request, lifetimeMs: lifetime });
    await client.replaceStatus(certificateSigningRequests, { ...request, status: { ...status, certificate } });
  }

  async #say(request: CertificateSigningRequest, what: Said, why: Statement, nowMs: number): Promise<CertificateSigningRequest> {
    const path = objectPath(certificateSigningRequests, keyOf(request), 'approval');
    return (await this.#options.client.request('PUT', path, withCondition(request, what, why, nowMs))) as CertificateSigningRequest;
  }
}

/** Asks the pool for a certificate and waits for it, whoever we are for the pool at that time. */
import { setTimeout as delay } from 'node:timers/promises';
import { providerSigner } from '../../api/names.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { apiVersionOf, certificateSigningRequests } from '../../api/resource-type.ts';
import { ApiError, isAlreadyExists } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { requestPem } from './certificate-request.ts';

export interface SigningRequest {
  /** Of the CertificateSigningRequest object; asking again by the same name goes on where it was. */
  name: string;
  der: Uint8Array;
  annotations?: Readonly<Record<string, string>>;
  /** It may have been sent before, and who sends it may create nothing any more because of that. */
  mayBeThere?: boolean;
}

export interface WaitOptions {
  timeoutMs: number;
  signal: AbortSignal;
  /** Called once when the pool has not settled it at once: somebody may have to approve it by hand. */
  onPending?: () => void;
}

/** The pool answered, and the answer is no. */
export class RequestRefusedError extends Error {
  override readonly name = 'RequestRefusedError';
  readonly kind: 'Denied' | 'Failed';

  constructor(kind: 'Denied' | 'Failed', why: string) {
    super(why);
    this.kind = kind;
  }
}

/** Nobody settled it in time. */
export class RequestPendingError extends Error {
  override readonly name = 'RequestPendingError';
}

const polling = { firstMs: 50, growth: 1.2, longestMs: 2_000 };
const patienceMs = 3_000;

/** Answers the PEM of the certificate. Rejects with RequestRefusedError, RequestPendingError, ApiError or the transport's error. */
export async function requestCertificate(client: Client, request: SigningRequest, options: WaitOptions): Promise<string> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let current = await createRequest(client, request, options.signal);
  const startMs = performance.now();
  let waitMs = polling.firstMs;
  let isToldOf = false;
  for (;;) {
    const certificate = settled(current);
    if (certificate !== undefined) return certificate;
    if (performance.now() > deadlineMs) throw new RequestPendingError(`nobody settled ${request.name} in ${options.timeoutMs / 1000} s`);
    if (!isToldOf && performance.now() - startMs > patienceMs) {
      isToldOf = true;
      options.onPending?.();
    }
    await delay(waitMs, undefined, { signal: options.signal });
    waitMs = Math.min(waitMs * polling.growth, polling.longestMs);
    current = await readRequest(client, current, options.signal);
  }
}

async function createRequest(client: Client, request: SigningRequest, signal: AbortSignal): Promise<CertificateSigningRequest> {
  const { name, der, annotations } = request;
  const object: CertificateSigningRequest = {
    apiVersion: apiVersionOf(certificateSigningRequests),
    kind: certificateSigningRequests.kind,
    metadata: { name, ...(annotations === undefined ? {} : { annotations: { ...annotations } }) },
    spec: {
      signerName: providerSigner,
      usages: ['client auth', 'digital signature'],
      request: Buffer.from(requestPem(der)).toString('base64'),
    },
  };
  try {
    return await client.create(certificateSigningRequests, object, { signal });
  } catch (error) {
    if (isAlreadyExists(error)) return client.get(certificateSigningRequests, { name }, { signal });
    // A token that is spent creates nothing any more, but still reads what it was spent on.
    if (request.mayBeThere === true && error instanceof ApiError && (error.code === 401 || error.code === 403)) {
      return client.get(certificateSigningRequests, { name }, { signal }).catch(() => Promise.reject(error));
    }
    throw error;
  }
}

/** What does not answer now may answer the next time; that we are refused, or that it is gone, stays so. */
async function readRequest(client: Client, current: CertificateSigningRequest, signal: AbortSignal): Promise<CertificateSigningRequest> {
  try {
    return await client.get(certificateSigningRequests, { name: current.metadata.name ?? '' }, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiError && error.code < 500 && error.code !== 429) throw error;
    return current;
  }
}

function settled({ status }: CertificateSigningRequest): string | undefined {
  for (const { type, status: holds, reason, message } of status?.conditions ?? []) {
    if ((type !== 'Denied' && type !== 'Failed') || holds === 'False') continue;
    throw new RequestRefusedError(type, [reason, message].filter((part) => part !== undefined && part !== '').join(': '));
  }
  const certificate = status?.certificate;
  return certificate === undefined || certificate === '' ? undefined : Buffer.from(certificate, 'base64').toString('utf8');
}

/** Shows that this machine is there: renews its lease. Kubernetes' node leases do the same. */
import { setTimeout as delay } from 'node:timers/promises';
import { providerLeaseDurationSeconds, providerLeaseNamespace, providerLeaseRenewSeconds } from '../api/names.ts';
import { apiVersionOf, leases, providers } from '../api/resource-type.ts';
import { formatMicroTime } from '../api/time.ts';
import { isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../runtime/logger.ts';

export interface ProviderLeaseOptions {
  client: Client;
  providerName: string;
  providerUid: string;
  logger: Logger;
}

export interface ProviderLease {
  /** Renews once more no longer. The lease runs out by itself. */
  stop(): Promise<void>;
}

/** Shorter than the interval: an API that hangs must not cost two renewals. */
const requestTimeoutMs = 5_000;
const retryMs = 2_000;

/** Renews now, then every ten seconds, sooner after a failure. */
export function keepProviderLease(options: ProviderLeaseOptions): ProviderLease {
  const stopping = new AbortController();
  const { signal } = stopping;
  const { logger } = options;

  async function run(): Promise<void> {
    let failures = 0;
    for (;;) {
      try {
        await renew(options, signal);
        if (failures > 0) logger.info('the lease is renewed again', { failures });
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (failures === 1) logger.warn('the lease cannot be renewed', { error });
      }
      const waitMs = failures > 0 ? retryMs : providerLeaseRenewSeconds * 1000;
      if (!(await delay(waitMs, true, { signal }).catch(() => false))) return;
    }
  }

  const running = run();
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function renew({ client, providerName, providerUid }: ProviderLeaseOptions, signal: AbortSignal): Promise<void> {
  const metadata = { name: providerName, namespace: providerLeaseNamespace };
  const spec = {
    holderIdentity: providerUid,
    leaseDurationSeconds: providerLeaseDurationSeconds,
    renewTime: formatMicroTime(Date.now()),
  };
  // The lease goes with its Provider: one of the same name that is made later is another, and could not take it over.
  const ownerReferences = [{ apiVersion: apiVersionOf(providers), kind: providers.kind, name: providerName, uid: providerUid }];
  const request = { signal, timeoutMs: requestTimeoutMs };
  try {
    await client.patch(leases, metadata, { metadata: { ownerReferences }, spec }, request);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.create(
      leases,
      { apiVersion: apiVersionOf(leases), kind: leases.kind, metadata: { ...metadata, ownerReferences }, spec },
      request,
    );
  }
}

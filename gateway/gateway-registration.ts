/** Keeps a gateway's own object and lease: by these, agents and other gateways find it. */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Gateway } from '../api/generated/gateway.ts';
import { gatewayLeaseDurationSeconds, gatewayLeaseNamespace, gatewayLeaseRenewSeconds } from '../api/names.ts';
import { apiVersionOf, gateways, leases } from '../api/resource-type.ts';
import type { Lease } from '../api/resource-type.ts';
import { formatMicroTime } from '../api/time.ts';
import { isAlreadyExists, isNotFound } from '../client/client.ts';
import type { Client } from '../client/client.ts';
import type { Logger } from '../runtime/logger.ts';
import { updateObject } from '../runtime/status-writer.ts';

export interface RegistrationOptions {
  client: Client;
  name: string;
  /** Of this very process. */
  identity: string;
  /** As of now: a machine's addresses change. */
  spec: () => Gateway['spec'];
  logger: Logger;
  /** Another process goes by our name and began later. */
  onTakenOver: () => void;
}

export interface Registration {
  /** Gives the lease back, so that nobody waits for it to run out. The object stays: people's settings name it. */
  stop(): Promise<void>;
}

const requestTimeoutMs = 5_000;
const retryMs = 2_000;

/** Resolves when both are written for the first time; throws what the API answers then. */
export async function keepRegistration(options: RegistrationOptions): Promise<Registration> {
  const stopping = new AbortController();
  const { signal } = stopping;
  await writeGateway(options);
  await takeLease(options);
  const running = renewForEver(options, signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
      await giveLeaseBack(options).catch((error: unknown) => options.logger.warn('the lease cannot be given back', { error }));
    },
  };
}

async function renewForEver(options: RegistrationOptions, signal: AbortSignal): Promise<void> {
  const { logger } = options;
  let failures = 0;
  for (;;) {
    const waitMs = failures > 0 ? retryMs : gatewayLeaseRenewSeconds * 1000;
    if (!(await delay(waitMs, true, { signal }).catch(() => false))) return;
    try {
      await writeGateway(options);
      if (!(await renewLease(options))) {
        logger.error('another gateway goes by this name; one must be given another with --gateway-name', { name: options.name });
        options.onTakenOver();
        return;
      }
      if (failures > 0) logger.info('the lease is renewed again', { failures });
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === 1) logger.warn('the lease cannot be renewed', { error });
    }
  }
}

async function writeGateway({ client, name, spec: read }: RegistrationOptions): Promise<void> {
  const spec = read();
  const request = { timeoutMs: requestTimeoutMs };
  const change = (draft: Gateway): false | undefined => {
    if (isDeepStrictEqual(draft.spec, spec)) return false;
    draft.spec = spec;
    return undefined;
  };
  try {
    await updateObject(client, gateways, { name }, change, request);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.create(gateways, { apiVersion: apiVersionOf(gateways), kind: gateways.kind, metadata: { name }, spec }, request);
  }
}

/** Whoever had it: of two processes with one name the later one goes on. */
async function takeLease({ client, name, identity }: RegistrationOptions): Promise<void> {
  const metadata = { name, namespace: gatewayLeaseNamespace };
  const spec = leaseSpec(identity);
  const request = { timeoutMs: requestTimeoutMs };
  const take = (draft: Lease): void => {
    draft.spec = { ...spec, acquireTime: spec.renewTime ?? '' };
  };
  try {
    await client.create(leases, { apiVersion: apiVersionOf(leases), kind: leases.kind, metadata, spec }, request);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    await updateObject(client, leases, metadata, take, request);
  }
}

/** Answers whether it is still ours. */
async function renewLease(options: RegistrationOptions): Promise<boolean> {
  const { client, name, identity } = options;
  let isOurs = true;
  const renew = (draft: Lease): false | undefined => {
    isOurs = draft.spec.holderIdentity === identity;
    if (!isOurs) return false;
    draft.spec = { ...draft.spec, ...leaseSpec(identity) };
    return undefined;
  };
  try {
    await updateObject(client, leases, { name, namespace: gatewayLeaseNamespace }, renew, { timeoutMs: requestTimeoutMs });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await takeLease(options);
  }
  return isOurs;
}

async function giveLeaseBack({ client, name, identity }: RegistrationOptions): Promise<void> {
  const key = { name, namespace: gatewayLeaseNamespace };
  const request = { timeoutMs: requestTimeoutMs };
  try {
    const { spec, metadata } = await client.get(leases, key, request);
    if (spec.holderIdentity !== identity) return;
    const { uid = '', resourceVersion = '' } = metadata;
    await client.delete(leases, key, { ...request, preconditions: { uid, resourceVersion } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function leaseSpec(identity: string): Lease['spec'] {
  return { holderIdentity: identity, leaseDurationSeconds: gatewayLeaseDurationSeconds, renewTime: formatMicroTime(Date.now()) };
}

/** In which order a provider tries gateways. No input or output. */
import { createHash } from 'node:crypto';
import type { Gateway } from '../../api/generated/gateway.ts';
import { gatewayLeaseDurationSeconds } from '../../api/names.ts';
import type { Lease } from '../../api/resource-type.ts';
import { parseTime } from '../../api/time.ts';

export interface KnownGateway {
  name: string;
  /** `host:port`, in the order in which they are tried. */
  addresses: readonly string[];
}

/**
 * Rendezvous hashing: each provider has an order of its own, which stays when a gateway comes or goes, and providers are spread evenly
 * ("Highest Random Weight", Thaler and Ravishankar, 1998).
 */
export function orderGateways<T extends { name: string }>(providerUid: string, gateways: readonly T[]): T[] {
  const weight = ({ name }: T): string => createHash('sha256').update(`${providerUid}\n${name}`).digest('hex');
  return gateways
    .map((gateway) => ({ gateway, weight: weight(gateway) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
    .map(({ gateway }) => gateway);
}

/**
 * The gateways whose lease lives, or all that there are when none does. Times in leases are compared with each other only: this machine's clock may be
 * wrong.
 */
export function livingGateways(gateways: readonly Gateway[], leases: readonly Lease[]): KnownGateway[] {
  const renewedMs = new Map(leases.map(({ metadata: { name = '' }, spec }) => [name, parseTime(spec.renewTime) ?? 0]));
  const newestMs = Math.max(...renewedMs.values());
  const isLive = (name: string): boolean => newestMs - (renewedMs.get(name) ?? -Infinity) < gatewayLeaseDurationSeconds * 1000;
  const all = gateways.map(({ metadata: { name = '' }, spec }) => ({ name, addresses: spec.tunnelAddresses }));
  const live = all.filter(({ name }) => isLive(name));
  return live.length > 0 ? live : all;
}

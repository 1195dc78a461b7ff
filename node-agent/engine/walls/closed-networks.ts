/** Where instances must not get. Pure. */
import type { Network } from '../pool-subnet.ts';
import { formatNetwork, parseNetwork } from '../pool-subnet.ts';

/**
 * Nothing in here is the internet (RFC 6890): private networks, carriers' (RFC 6598), link-local with the metadata address 169.254.169.254,
 * loopback, "this" network, protocol assignments, benchmarks, multicast, reserved, broadcast.
 */
const neverInternet = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
];

/** A route to more is the way to the internet, for example `0.0.0.0/1` through a VPN. */
const widestLan = 8;
const multicastBase = 224 * 2 ** 24;

/** `ip -json -4 address` and `ip -json -4 route`, as far as they are read. */
export interface MachineAddress {
  addr_info?: { local?: string }[];
}
export interface MachineRoute {
  dst?: string;
  gateway?: string;
}

/**
 * What no instance reaches: what is not the internet, the machine's own addresses, and the networks that it is directly on, which is the
 * owner's LAN also where its addresses are public. Sorted, none within another, as nft wants them.
 */
export function closedNetworks(addresses: readonly MachineAddress[], routes: readonly MachineRoute[]): string[] {
  const own = addresses.flatMap(({ addr_info: list = [] }) => list.map(({ local = '' }) => local));
  const direct = routes.filter(({ gateway }) => gateway === undefined).map(({ dst = '' }) => dst);
  const networks = [...neverInternet, ...own, ...direct].map(parseNetwork).filter((network) => network !== undefined);
  return widest(networks.filter(({ base, prefix }) => prefix >= widestLan || base === multicastBase)).map(formatNetwork);
}

function widest(networks: readonly Network[]): Network[] {
  const kept: Network[] = [];
  for (const network of [...networks].sort((a, b) => a.base - b.base || a.prefix - b.prefix)) {
    const last = kept.at(-1);
    if (last === undefined || network.base >= last.base + 2 ** (32 - last.prefix)) kept.push(network);
  }
  return kept;
}

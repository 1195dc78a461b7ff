/** Picks addresses for the pool's network that collide with nothing on the machine. Pure. */

/** An IPv4 network as a number and a prefix length. */
export interface Network {
  base: number;
  prefix: number;
}

export interface PoolSubnets {
  /** Both ends of the veth pair. */
  hostAddress: string;
  poolAddress: string;
  linkPrefix: number;
  /** All of it, as the host sees it. */
  link: string;
  /** The gateway of the containers with its prefix length, as dockerd's `bip`. */
  bridge: string;
}

/** The gateway of the containers, and all of their network. */
export function bridgeOf({ bridge }: PoolSubnets): { gateway: string; network: string } {
  const network = parseNetwork(bridge);
  return { gateway: bridge.replace(/\/.*$/, ''), network: network === undefined ? bridge : formatNetwork(network) };
}

/** A name server or another address of which packets must keep leaving the machine. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(1, 5).map(Number);
  const prefix = match[5] === undefined ? 32 : Number(match[5]);
  if ([a, b, c, d].some((part) => part > 255) || prefix > 32) return undefined;
  return { base: maskTo(((a * 256 + b) * 256 + c) * 256 + d, prefix), prefix };
}

function maskTo(address: number, prefix: number): number {
  const size = 2 ** (32 - prefix);
  return Math.floor(address / size) * size;
}

function overlap(a: Network, b: Network): boolean {
  const prefix = Math.min(a.prefix, b.prefix);
  return maskTo(a.base, prefix) === maskTo(b.base, prefix);
}

export function formatNetwork({ base, prefix }: Network): string {
  return prefix === 32 ? format(base) : `${format(base)}/${prefix}`;
}

function format(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** A /20 each: its first /30 for the veth pair, its upper half for 2,000 containers. Chosen where few networks are. */
const candidatePrefix = 20;
const candidateRanges = ['10.213.0.0/16', '10.214.0.0/16', '172.30.0.0/16', '192.168.208.0/20', '10.77.0.0/16'];

/**
 * A candidate that overlaps with none of `taken`; undefined when all do. A default route (prefix 0) takes nothing. The search begins at
 * candidate number `start`: engines that start at once on one machine begin at different ones.
 */
export function chooseSubnets(taken: readonly Network[], start = 0): PoolSubnets | undefined {
  const used = taken.filter(({ prefix }) => prefix > 0);
  const candidates = candidateRanges.flatMap(candidatesIn);
  for (let index = 0; index < candidates.length; index += 1) {
    const base = candidates[(index + start) % candidates.length] ?? 0;
    if (used.some((network) => overlap(network, { base, prefix: candidatePrefix }))) continue;
    return {
      hostAddress: format(base + 1),
      poolAddress: format(base + 2),
      linkPrefix: 30,
      link: `${format(base)}/30`,
      bridge: `${format(base + 2048 + 1)}/21`,
    };
  }
  return undefined;
}

function candidatesIn(range: string): number[] {
  const network = parseNetwork(range);
  if (network === undefined) return [];
  const step = 2 ** (32 - candidatePrefix);
  return Array.from({ length: 2 ** (candidatePrefix - network.prefix) }, (_, index) => network.base + index * step);
}

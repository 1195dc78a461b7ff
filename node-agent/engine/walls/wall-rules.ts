/**
 * The walls around instances, as nft reads them: one table on the host, two in the pool's network namespace. They stand beside Docker's
 * own rules and those of firewalls, which may come and go: what one table drops, no other lets through. Pure.
 */

/** What the rules are made of. */
export interface WallFacts {
  table: string;
  hostInterface: string;
  /** The link between the host and the pool, and the pool's end of it, from which the pool's own dockerd fetches images. */
  link: string;
  poolAddress: string;
  /** Instances' network and its gateway. */
  instances: string;
  gateway: string;
  /** As {@link closedNetworks} answers them. */
  closed: readonly string[];
  /** Where questions to the gateway go. */
  nameServer: string;
  /** Chains without rules on the host, that say something to other engines of ours. */
  marks: readonly string[];
}

/** The bridge and the way out, in the pool's namespace. */
export const bridgeName = 'docker0';
const uplink = 'eth0';
/** In the bridge's table: which port has which addresses. Filled when a container starts. */
export const portSet = 'ports';
/** Filled by the kernel while packets pass. */
export const dynamicSets: readonly string[] = ['fresh', 'tracked'];

/** New connections of one instance; what scans and floods look like from outside. */
const newPerSecond = 50;
const newBurst = 100;
/** Connections of one instance at once, those included that the kernel still remembers. */
const mostConnections = 512;
/** SMTP, submission: mail from a home's address ends on block lists, with the owner's name on it. */
const mailPorts = '{ 25, 465, 587 }';
/** Before Docker's and other firewalls' chains, which are at `filter` (0). */
const priority = 'filter - 5';

/** Before what br_netfilter does. */
const bridgePriority = -300;

/**
 * Nobody's (RFC 5737), and dropped on the host: where a probe sends what only has to pass the pool's own queues. Several, since networks are
 * built of such addresses all the same.
 */
export const probeSinks: readonly string[] = ['192.0.2.254', '203.0.113.254', '198.51.100.254'];

const refuse = 'reject with icmp type admin-prohibited';

/** On the host: the second wall for what the pool's own rules let pass, and the only one for what comes in. */
export function hostTable(facts: WallFacts): string {
  const { table, hostInterface, link, poolAddress, instances, nameServer, marks } = facts;
  return replaceTable(
    'inet',
    table,
    `
  chain forward {
    type filter hook forward priority ${priority}; policy accept;
    oifname "${hostInterface}" ct state established,related accept
    oifname "${hostInterface}" drop
    iifname "${hostInterface}" jump from_pool
  }
  chain input {
    type filter hook input priority ${priority}; policy accept;
    iifname "${hostInterface}" jump to_host
  }
  chain from_pool {
    meta nfproto ipv6 drop
    ct state established,related accept
    ip saddr ${poolAddress} accept
    ip saddr != ${instances} drop
    ${question(nameServer)} accept
    ip daddr ${setOf(probeSinks)} drop
    ip daddr ${setOf(facts.closed)} drop
    tcp dport ${mailPorts} drop
  }
  chain to_host {
    meta nfproto ipv6 drop
    ct state established,related accept
    ip saddr ${poolAddress} accept
    ip saddr ${instances} ${question(nameServer)} accept
    drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr { ${link}, ${instances} } oifname != "${hostInterface}" masquerade
  }
${marks.map((mark) => `  chain ${mark} { }\n`).join('')}`,
  );
}

/** In the pool's namespace: what instances may send, and that nothing comes to them that they did not ask for. */
export function poolTable(facts: WallFacts): string {
  const { table, instances, gateway, closed, nameServer } = facts;
  return replaceTable(
    'inet',
    table,
    `
  set fresh { type ipv4_addr; flags dynamic,timeout; size 4096; timeout 1m; }
  set tracked { type ipv4_addr; flags dynamic; size 4096; }
  chain ask {
    type nat hook prerouting priority dstnat - 5; policy accept;
    iifname "${bridgeName}" ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 dnat ip to ${nameServer}
  }
  chain forward {
    type filter hook forward priority ${priority}; policy drop;
    iifname "${uplink}" oifname "${bridgeName}" ct state established,related accept
    iifname "${bridgeName}" oifname "${uplink}" ip saddr ${instances} goto out
  }
  chain out {
    ct state established,related accept
    ct state invalid drop
    ct status dnat ${question(nameServer)} goto bounded
    ip daddr ${setOf(closed)} ${refuse}
    tcp dport ${mailPorts} ${refuse}
    goto bounded
  }
  chain bounded {
    ct status confirmed accept
    update @fresh { ip saddr limit rate over ${newPerSecond}/second burst ${newBurst} packets } drop
    add @tracked { ip saddr ct count over ${mostConnections} } ${refuse}
    accept
  }
  chain input {
    type filter hook input priority ${priority}; policy drop;
    iifname "lo" accept
    iifname "${uplink}" ct state established,related accept
  }
`,
  );
}

/**
 * On the bridge: nothing goes from one port to another, not even ARP, and a port sends with the addresses that were given to it or not at
 * all. A port that is not in the set is shut both ways, which every port is before its limits stand.
 */
export function bridgeTable({ table }: Pick<WallFacts, 'table'>): string {
  const sender = (address: string, from: string): string => `meta iif . ${from} . ${address} @${portSet}`;
  return replaceTable(
    'bridge',
    table,
    `
  set ${portSet} { typeof meta iif . ether saddr . ip saddr; }
  chain prerouting {
    type filter hook prerouting priority ${bridgePriority}; policy drop;
    ether type ip ${sender('ip saddr', 'ether saddr')} accept
    ether type arp ${sender('arp saddr ip', 'ether saddr')} ${sender('arp saddr ip', 'arp saddr ether')} accept
  }
  chain forward {
    type filter hook forward priority ${bridgePriority}; policy drop;
  }
  chain output {
    type filter hook output priority ${bridgePriority}; policy drop;
    ether type arp accept
    ether type ip meta oif . ether daddr . ip daddr @${portSet} accept
  }
`,
  );
}

/** Opens ports of the bridge, each with its addresses; what is in the set already does not matter. */
export function openPorts({ table }: Pick<WallFacts, 'table'>, elements: readonly string[]): string {
  return elements.length === 0 ? '' : `add element bridge ${table} ${portSet} { ${elements.join(', ')} }\n`;
}

/** In one transaction, so that there is no moment without rules; `add` makes the deletion work also where there is none. */
function replaceTable(family: string, table: string, body: string): string {
  return `add table ${family} ${table}\ndelete table ${family} ${table}\ntable ${family} ${table} {${body}}\n`;
}

function question(nameServer: string): string {
  return `ip daddr ${nameServer} meta l4proto { tcp, udp } th dport 53`;
}

function setOf(networks: readonly string[]): string {
  return `{ ${networks.join(', ')} }`;
}

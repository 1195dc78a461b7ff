/**
 * The pool's network namespace: behind one veth pair, so that dockerd's rules stay in it and the machine's own Docker never sees them. On the
 * host's side there are only the interface, one nft table, a switch in `ip_forward`, and, where a firewall drops what it does not know,
 * two rules in it. All of it is written down before it is done, and undone by {@link tearDownNetwork}.
 */
import { readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import type { Logger } from '../../runtime/logger.ts';
import type { PoolPaths } from './pool-paths.ts';
import { chooseSubnets, parseNetwork } from './pool-subnet.ts';
import type { Network, PoolSubnets } from './pool-subnet.ts';
import { runCommand, succeeds } from './run-command.ts';

export interface NetworkState {
  subnets: PoolSubnets;
  /** What `ip_forward` was before us. */
  ipForward: string;
}

const ipForwardPath = '/proc/sys/net/ipv4/ip_forward';
/** An empty chain that says so in our table, for other engines of ours. */
const wasOffMark = 'forwarding_was_off';
/** From `linux/magic.h`. */
const nsfsMagic = 0x6e736673;

/** Makes what is missing; safe to repeat. Answers what the engine must know. */
export async function setUpNetwork(paths: PoolPaths, logger: Logger): Promise<NetworkState> {
  const exists = await isNamespace(paths.namespace);
  const before = await readState(paths);
  const state = exists && before !== undefined ? before : await newState(paths, before);
  await writeState(paths, state);
  if (!exists) {
    await writeFile(paths.namespace, '');
    // Not under /run/netns: `ip netns` would leave a mount there that nothing takes away.
    await runCommand('unshare', [`--net=${paths.namespace}`, 'true']);
  }
  try {
    await connect(paths, state.subnets);
    await assertRules(paths, state);
  } catch (error) {
    logger.warn('instances have no network: it cannot be set up on this machine', { error });
  }
  return state;
}

/** Puts rules back that another program flushed or a firewall now needs. */
export async function assertRules(paths: PoolPaths, state: NetworkState): Promise<void> {
  if ((await readFile(ipForwardPath, 'utf8')).trim() !== '1') await writeFile(ipForwardPath, '1');
  if (!(await succeeds('nft', ['list', 'table', 'inet', paths.nftTable]))) await runCommand('nft', ['-f', '-'], nftRules(paths, state));
  await passFirewall(paths);
}

/** Takes everything away; safe to repeat, also when only half of it was ever made. */
export async function tearDownNetwork(paths: PoolPaths, logger: Logger): Promise<void> {
  const state = await readState(paths);
  for (const rule of await ourFirewallRules(paths)) await attempt(logger, 'iptables', ['-w', ...rule]);
  if (await succeeds('nft', ['list', 'table', 'inet', paths.nftTable])) {
    await attempt(logger, 'nft', ['delete', 'table', 'inet', paths.nftTable]);
  }
  if (await succeeds('ip', ['link', 'show', paths.hostInterface])) await attempt(logger, 'ip', ['link', 'delete', paths.hostInterface]);
  if (await isNamespace(paths.namespace)) await attempt(logger, 'umount', [paths.namespace]);
  await rm(paths.namespace, { force: true });
  if (state !== undefined) await restoreForwarding(state, logger);
  await rm(paths.state, { force: true });
}

export async function isNamespace(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === nsfsMagic;
  } catch {
    return false;
  }
}

async function newState(paths: PoolPaths, before: NetworkState | undefined): Promise<NetworkState> {
  const subnets = chooseSubnets(await networksInUse(), parseInt(paths.id, 16));
  if (subnets === undefined)
    throw new Error('no private network is free for instances: every candidate overlaps with a route of this machine');
  // After a crash or a reboot of half a teardown, the first answer is the true one.
  return { subnets, ipForward: before?.ipForward ?? (await forwardingBeforeUs()) };
}

/** Another pool's engine on this machine may have turned it on; the last of them turns it off. */
async function forwardingBeforeUs(): Promise<string> {
  const rules = await runCommand('nft', ['list', 'ruleset']).catch(() => '');
  return rules.includes(`chain ${wasOffMark}`) ? '0' : (await readFile(ipForwardPath, 'utf8')).trim();
}

/** Routes of this machine, and the name servers that instances will ask. */
async function networksInUse(): Promise<Network[]> {
  const routes = JSON.parse(await runCommand('ip', ['-4', '-json', 'route', 'show', 'table', 'all'])) as { dst?: string }[];
  const resolvers = (await readFile('/etc/resolv.conf', 'utf8').catch(() => '')).matchAll(/^nameserver\s+(\S+)/gm);
  const texts = [...routes.map(({ dst }) => dst ?? ''), ...[...resolvers].map((match) => match[1] ?? '')];
  return texts.map(parseNetwork).filter((network) => network !== undefined);
}

async function connect(paths: PoolPaths, { hostAddress, poolAddress, linkPrefix }: PoolSubnets): Promise<void> {
  if (await succeeds('ip', ['link', 'show', paths.hostInterface])) return;
  const inside = (...command: string[]): Promise<string> => runCommand('nsenter', [`--net=${paths.namespace}`, ...command]);
  await runCommand('ip', ['link', 'add', paths.hostInterface, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', paths.namespace]);
  // No IPv6: its link-local addresses would be a way to the host that no rule of IPv4 closes.
  await writeFile(`/proc/sys/net/ipv6/conf/${paths.hostInterface}/disable_ipv6`, '1').catch(() => undefined);
  await inside('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true');
  await runCommand('ip', ['address', 'add', `${hostAddress}/${linkPrefix}`, 'dev', paths.hostInterface]);
  await runCommand('ip', ['link', 'set', paths.hostInterface, 'up']);
  await inside('ip', 'link', 'set', 'lo', 'up');
  await inside('ip', 'address', 'add', `${poolAddress}/${linkPrefix}`, 'dev', 'eth0');
  await inside('ip', 'link', 'set', 'eth0', 'up');
  await inside('ip', 'route', 'add', 'default', 'via', hostAddress);
}

/** Out with the host's address; in only what was asked for. */
function nftRules({ nftTable, hostInterface }: PoolPaths, { subnets: { link }, ipForward }: NetworkState): string {
  const mark = ipForward === '0' ? `chain ${wasOffMark} { }` : '';
  return `table inet ${nftTable} {
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "${hostInterface}" ct state established,related accept
    oifname "${hostInterface}" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${link} oifname != "${hostInterface}" masquerade
  }
  ${mark}
}
`;
}

/** A packet that one table accepts is still dropped by another. Docker on the host and common firewalls drop what is forwarded: tell them. */
async function passFirewall(paths: PoolPaths): Promise<void> {
  const saved = await savedRules();
  if (!/^:FORWARD DROP /m.test(saved)) return;
  const chain = saved.includes(':DOCKER-USER ') ? 'DOCKER-USER' : 'FORWARD';
  for (const rule of firewallRules(paths)) {
    if (!(await succeeds('iptables', ['-w', '-C', chain, ...rule]))) await runCommand('iptables', ['-w', '-I', chain, ...rule]);
  }
}

function firewallRules({ hostInterface, nftTable }: PoolPaths): string[][] {
  const comment = ['-m', 'comment', '--comment', nftTable];
  return [
    ['-i', hostInterface, ...comment, '-j', 'ACCEPT'],
    ['-o', hostInterface, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', ...comment, '-j', 'ACCEPT'],
  ];
}

/** Arguments that delete what {@link passFirewall} added, wherever it is now. */
async function ourFirewallRules({ nftTable }: PoolPaths): Promise<string[][]> {
  const lines = (await savedRules()).split('\n').filter((line) => line.startsWith('-A ') && line.includes(`--comment ${nftTable} `));
  return lines.map((line) => ['-D', ...line.slice(3).trim().split(/\s+/)]);
}

/** Reading with `iptables -S` would make tables that were not there. */
async function savedRules(): Promise<string> {
  return runCommand('iptables-save', []).catch(() => '');
}

/** Somebody else who forwards by now would be cut off. */
async function restoreForwarding({ ipForward }: NetworkState, logger: Logger): Promise<void> {
  if (ipForward !== '0') return;
  const rules = `${await runCommand('nft', ['list', 'ruleset']).catch(() => '')}${await savedRules()}`;
  if (/masquerade/i.test(rules)) {
    logger.info('ip_forward stays on: another program of this machine forwards packets by now');
    return;
  }
  await writeFile(ipForwardPath, ipForward);
}

async function readState(paths: PoolPaths): Promise<NetworkState | undefined> {
  try {
    return JSON.parse(await readFile(paths.state, 'utf8')) as NetworkState;
  } catch {
    return undefined;
  }
}

async function writeState(paths: PoolPaths, state: NetworkState): Promise<void> {
  await writeFile(`${paths.state}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  await rename(`${paths.state}.new`, paths.state);
}

async function attempt(logger: Logger, command: string, args: readonly string[]): Promise<void> {
  try {
    await runCommand(command, args);
  } catch (error) {
    logger.warn('could not be taken away', { error });
  }
}

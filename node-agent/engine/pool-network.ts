/**
 * The pool's network namespace: behind one veth pair, so that dockerd's rules stay in it and the machine's own Docker never sees them. On the
 * host's side there are only the interface with two routes, one nft table, a switch in `ip_forward`, and, where a firewall drops what it
 * does not know, two rules in it. All of it is written down before it is done, and undone by {@link tearDownNetwork}.
 */
import { readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import type { Logger } from '../../runtime/logger.ts';
import { mostBytesAtOnce } from '../limits/bandwidth/shape-commands.ts';
import type { PoolPaths } from './pool-paths.ts';
import { bridgeOf, chooseSubnets, parseNetwork } from './pool-subnet.ts';
import type { Network, PoolSubnets } from './pool-subnet.ts';
import { runCommand, succeeds } from './run-command.ts';
import { Walls } from './walls/walls.ts';

interface NetworkState {
  subnets: PoolSubnets;
  /** What `ip_forward` was before us. */
  ipForward: string;
}

const ipForwardPath = '/proc/sys/net/ipv4/ip_forward';
/** An empty chain that says so in our table, for other engines of ours. */
const wasOffMark = 'forwarding_was_off';
/** From `linux/magic.h`. */
const nsfsMagic = 0x6e736673;

/** The pool's network, once its namespace is there. */
export interface PoolNetwork {
  readonly subnets: PoolSubnets;
  /**
   * Connects it, walls first, or puts back what another program took away or a firewall now needs. Rejects when that cannot be done: then
   * something may be open that must not be. Answers whether the walls stood already.
   */
  assert(): Promise<boolean>;
  /** Disconnects it: nothing gets out or in until the next `assert`. */
  cutOff(): Promise<void>;
}

/** Makes the namespace, without a way out; safe to repeat. `nameServer` is asked for instances instead of the machine's own. */
export async function setUpNetwork(paths: PoolPaths, nameServer?: string): Promise<PoolNetwork> {
  const exists = await isNamespace(paths.namespace);
  const before = await readState(paths);
  const state = exists && before !== undefined ? before : await newState(paths, before);
  await writeState(paths, state);
  if (!exists) {
    await writeFile(paths.namespace, '');
    // Not under /run/netns: `ip netns` would leave a mount there that nothing takes away.
    await runCommand('unshare', [`--net=${paths.namespace}`, 'true']);
  }
  const { subnets } = state;
  const marks = state.ipForward === '0' ? [wasOffMark] : [];
  const walls = new Walls({ paths, subnets, marks, ...(nameServer === undefined ? {} : { nameServer }) });
  return {
    subnets,
    assert: async () => {
      const stood = await walls.assert();
      if ((await readFile(ipForwardPath, 'utf8')).trim() !== '1') await writeFile(ipForwardPath, '1');
      await passFirewall(paths);
      await connect(paths, subnets);
      return stood;
    },
    cutOff: async () => {
      await succeeds('ip', ['link', 'set', paths.hostInterface, 'down']);
    },
  };
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

async function connect(paths: PoolPaths, subnets: PoolSubnets): Promise<void> {
  if (!(await succeeds('ip', ['link', 'show', paths.hostInterface]))) await makeLink(paths, subnets);
  const { network } = bridgeOf(subnets);
  // The route goes with the link when it is cut off.
  const commands = [
    `link set ${paths.hostInterface} up gso_max_size ${mostBytesAtOnce}`,
    `route replace ${network} via ${subnets.poolAddress} dev ${paths.hostInterface}`,
  ];
  await runCommand('ip', ['-batch', '-'], `${commands.join('\n')}\n`);
}

async function makeLink(paths: PoolPaths, { hostAddress, poolAddress, linkPrefix }: PoolSubnets): Promise<void> {
  const inside = (...command: string[]): Promise<string> => runCommand('nsenter', [`--net=${paths.namespace}`, ...command]);
  await runCommand('ip', ['link', 'add', paths.hostInterface, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', paths.namespace]);
  // No IPv6: its link-local addresses would be a way to the host that no rule of IPv4 closes.
  await writeFile(`/proc/sys/net/ipv6/conf/${paths.hostInterface}/disable_ipv6`, '1').catch(() => undefined);
  // Forwarding is on before dockerd looks: one that turns it on itself drops what its own rules do not name, and they can be flushed.
  await inside('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true');
  await runCommand('ip', ['address', 'add', `${hostAddress}/${linkPrefix}`, 'dev', paths.hostInterface]);
  await runCommand('ip', ['link', 'set', paths.hostInterface, 'up']);
  await inside('ip', 'link', 'set', 'lo', 'up');
  await inside('ip', 'address', 'add', `${poolAddress}/${linkPrefix}`, 'dev', 'eth0');
  await inside('ip', 'link', 'set', 'eth0', 'up');
  await inside('ip', 'route', 'add', 'default', 'via', hostAddress);
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

/** A network namespace that stands for a machine: what changes in it changes nothing on the real one. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { poolPaths } from '../../node-agent/engine/pool-paths.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';

/** Stands for the internet: beyond the gateway of the machine, where the LAN's namespace is, and no address of the LAN. */
export const internetAddress = '203.0.113.10';

export interface HostNamespace {
  /** For `nsenter --net=`. */
  path: string;
  /** Answers standard output of a command that runs in it. */
  run(command: string, ...args: string[]): Promise<string>;
  /** Links, routes, firewall and forwarding, and what the engine of `home` has of the machine: mounts, loop devices, cgroups. */
  snapshot(home: string): Promise<Record<string, string>>;
  /** Another namespace on its network, for example the owner's LAN: 192.168.50.2 there, 192.168.50.1 here. */
  lan: string;
  runInLan(command: string, ...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

export async function makeHostNamespace(): Promise<HostNamespace> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-netns-'));
  const [path, lan] = [join(directory, 'host'), join(directory, 'lan')];
  const run = (command: string, ...args: string[]): Promise<string> => runCommand('nsenter', [`--net=${path}`, command, ...args]);
  for (const file of [path, lan]) {
    await writeFile(file, '');
    await runCommand('unshare', [`--net=${file}`, 'true']);
    await runCommand('nsenter', [`--net=${file}`, 'ip', 'link', 'set', 'lo', 'up']);
  }
  // A new namespace takes it from the machine.
  await run('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward');
  await run('ip', 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', lan);
  await run('ip', 'address', 'add', '192.168.50.1/24', 'dev', 'lan0');
  await run('ip', 'link', 'set', 'lan0', 'up');
  const runInLan = (command: string, ...args: string[]): Promise<string> => runCommand('nsenter', [`--net=${lan}`, command, ...args]);
  await runInLan('ip', 'address', 'add', '192.168.50.2/24', 'dev', 'eth0');
  await runInLan('ip', 'link', 'set', 'eth0', 'up');
  await runInLan('ip', 'address', 'add', `${internetAddress}/32`, 'dev', 'lo');
  await run('ip', 'route', 'add', 'default', 'via', '192.168.50.2');

  async function snapshot(home: string): Promise<Record<string, string>> {
    return {
      links: (await run('ip', '-brief', 'link')).replace(/\s+/g, ' '),
      routes: await run('ip', '-4', 'route', 'show', 'table', 'all'),
      nft: withoutCounters(await run('nft', 'list', 'ruleset')),
      iptables: withoutCounters(await run('iptables-save')),
      forwarding: await run('cat', '/proc/sys/net/ipv4/ip_forward'),
      // The network's are the namespace's own; of the others, those that container engines are known to change.
      sysctls: withoutCounts(await run('sh', '-c', 'grep -rs . /proc/sys/net /proc/sys/vm /proc/sys/fs/inotify /proc/sys/user || true')),
      qdiscs: await run('tc', 'qdisc', 'show'),
      mounts: linesWith(await readFile('/proc/self/mounts', 'utf8'), home),
      loopDevices: linesWith(await runCommand('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']), home),
      userIds: await runCommand('cat', ['/etc/subuid', '/etc/subgid', '/etc/passwd']),
      cgroups: await runCommand('find', ['/sys/fs/cgroup', '-maxdepth', '2', '-name', poolPaths(home).cgroup]),
    };
  }

  async function remove(): Promise<void> {
    for (const file of [path, lan]) await runCommand('umount', [file]);
    await rm(directory, { recursive: true, force: true });
  }
  return { path, lan, run, runInLan, snapshot, remove };
}

/** Other tests may run on the machine. */
function linesWith(text: string, part: string): string {
  return text
    .split('\n')
    .filter((line) => line.includes(part))
    .join('\n');
}

/** Without what counts, or is made up anew at each reading. */
function withoutCounts(sysctls: string): string {
  return sysctls
    .split('\n')
    .filter((line) => !/nf_conntrack_count|random|stable_secret|\/route\/flush|netdev_rss_key|hugepages|dirty_/.test(line))
    .sort()
    .join('\n');
}

function withoutCounters(rules: string): string {
  return rules
    .replace(/counter packets \d+ bytes \d+/g, 'counter')
    .replace(/\[\d+:\d+\]/g, '')
    .replace(/^#.*$/gm, '');
}

export interface NamespaceProcess {
  /** Sends a line and answers what the process answers; rejects with the error that it tells of. */
  ask(command: string): Promise<unknown>;
  killHard(): Promise<void>;
}

/** Runs a TypeScript program in the namespace; it reads lines and answers lines of JSON. */
export function startInNamespace(
  namespace: string,
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): NamespaceProcess {
  const child: ChildProcess = spawn('nsenter', [`--net=${namespace}`, process.execPath, program, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    ask: async (command) => {
      child.stdin!.write(`${command}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`the program ended at ${command}`);
      const answer = JSON.parse(line.value) as { value?: unknown; error?: string };
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer.value;
    },
    killHard: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

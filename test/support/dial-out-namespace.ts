/** A network namespace with one link to us, by which it can only dial out, as a machine behind a home router; the link can be cut without a word. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../node-agent/engine/run-command.ts';

export interface DialOutNamespace {
  /** For `nsenter --net=`. */
  path: string;
  /** Of our end of the link. */
  address: string;
  run(command: string, ...args: string[]): Promise<string>;
  /** Every packet is dropped, both ways, and nobody is told. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  remove(): Promise<void>;
}

export async function makeDialOutNamespace(): Promise<DialOutNamespace> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-out-'));
  const path = join(directory, 'net');
  const [id = 0, third = 0, block = 0] = randomBytes(3);
  // Of the range for measurements (RFC 2544); a /30 of its own.
  const network = `198.18.${third}.`;
  const [ours, theirs] = [`${network}${(block & 0xfc) + 1}`, `${network}${(block & 0xfc) + 2}`];
  const link = `tun${id}x${third}x${block}`.slice(0, 15);
  await writeFile(path, '');
  await runCommand('unshare', [`--net=${path}`, 'true']);
  const run = (command: string, ...args: string[]): Promise<string> => runCommand('nsenter', [`--net=${path}`, command, ...args]);
  await run('ip', 'link', 'set', 'lo', 'up');
  await runCommand('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', path]);
  await runCommand('ip', ['address', 'add', `${ours}/30`, 'dev', link]);
  await runCommand('ip', ['link', 'set', link, 'up']);
  await run('ip', 'address', 'add', `${theirs}/30`, 'dev', 'eth0');
  await run('ip', 'link', 'set', 'eth0', 'up');
  await run('ip', 'route', 'add', 'default', 'via', ours);
  await run('iptables', '-A', 'INPUT', '-i', 'eth0', '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP');
  const drops = [
    ['INPUT', '-i', 'eth0', '-j', 'DROP'],
    ['OUTPUT', '-o', 'eth0', '-j', 'DROP'],
  ];
  return {
    path,
    address: ours,
    run,
    cut: async () => {
      for (const rule of drops) await run('iptables', '-I', ...rule);
    },
    heal: async () => {
      for (const rule of drops) await run('iptables', '-D', ...rule);
    },
    remove: async () => {
      await runCommand('ip', ['link', 'del', link]).catch(() => undefined);
      await runCommand('umount', [path]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

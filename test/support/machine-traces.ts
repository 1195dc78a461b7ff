/** What a machine has that a program could leave behind, beside what a HostNamespace sees of its network. */
import { lstat, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where programs are installed and keep their state. */
const trees = ['/etc', '/usr/local', '/opt', '/srv', '/home', '/root', '/var/lib', '/var/spool', '/usr/lib/systemd'];
/** Written by what else runs on a machine, and caches. */
const volatile = /(^|\/)(\.cache|\.npm|apt|dpkg|docker|containerd|etcd|systemd\/timers|logrotate|\.bash_history|kubectl-home)($|\/)/;

/** Every file of the trees: kind, mode, owner, size. */
export async function fileTree(): Promise<string[]> {
  const lines: string[] = [];
  const walk = async (path: string): Promise<void> => {
    if (volatile.test(path)) return;
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) return;
    lines.push(`${path} ${found.mode.toString(8)} ${found.uid}:${found.gid}${found.isFile() ? ` ${found.size}` : ''}`);
    if (!found.isDirectory()) return;
    for (const name of (await readdir(path)).sort()) await walk(join(path, name));
  };
  for (const tree of trees) await walk(tree);
  return lines;
}

/** Users and groups, with all that stands of them. */
export async function users(): Promise<string> {
  const files = ['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid'];
  return (await Promise.all(files.map((file) => readFile(join('/etc', file), 'utf8').catch(() => '')))).join('\n');
}

/** The processes whose command line has this text. */
export async function processesWith(text: string): Promise<string[]> {
  const found = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (commandLine.includes(text)) found.push(`${pid} ${commandLine}`);
  }
  return found;
}

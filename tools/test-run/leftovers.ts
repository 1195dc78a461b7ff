/** Finds what a run of the tests left on the machine, apart from what others do there at the same time. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Every process that the run starts inherits this variable; its value names the run. */
export const runVariable = 'POTLUCK_TEST_RUN';

export interface Surroundings {
  networkNamespaces: ReadonlySet<string>;
  links: ReadonlySet<string>;
  tables: ReadonlySet<string>;
  cgroups: ReadonlySet<string>;
}

export async function readSurroundings(): Promise<Surroundings> {
  const [networkNamespaces, links, tables, cgroups] = await Promise.all([
    listDirectory('/run/netns'),
    listDirectory('/sys/class/net'),
    readTables(),
    readCgroups(),
  ]);
  return { networkNamespaces: new Set(networkNamespaces), links: new Set(links), tables: new Set(tables), cgroups: new Set(cgroups) };
}

/** One line for each thing that was not there `before`, or that is under the run's own directory. */
export async function findLeftovers(run: string, directory: string, before: Surroundings): Promise<string[]> {
  const after = await readSurroundings();
  const added = (name: keyof Surroundings): string[] => [...after[name]].filter((entry) => !before[name].has(entry));
  const inhabited = await inhabitedNamespaces(run);
  const namespaces: string[] = [];
  for (const name of added('networkNamespaces')) {
    // A namespace in which someone else's process lives belongs to someone else.
    if (!inhabited.has(await namespaceInode(name))) namespaces.push(`network namespace ${name}`);
  }
  const others = await enginesOfOthers(run);
  const isOurs = (name: string): boolean => !others.some((id) => name.includes(id));
  const named = [
    ...added('links').map((name) => `network link ${name}`),
    ...added('tables').map((name) => `nft table ${name}`),
    ...added('cgroups').map((name) => `cgroup ${name}`),
  ];
  return [
    ...(await processesOf(run)).map(({ pid, commandLine }) => `process ${pid}: ${commandLine.slice(0, 200)}`),
    ...(await mountsUnder(directory)).map((path) => `mount ${path}`),
    ...(await loopDevicesUnder(directory)).map((line) => `loop device ${line}`),
    ...(await listDirectory(directory)).map((name) => `file ${join(directory, name)}`),
    ...namespaces,
    ...named.filter(isOurs),
  ];
}

/** Processes that carry the run's mark, ourselves excepted. */
export async function processesOf(run: string): Promise<{ pid: number; commandLine: string }[]> {
  const found = [];
  for (const pid of await processIds()) {
    if (pid === process.pid || !(await carriesMark(pid, run))) continue;
    const commandLine = (await readQuietly(`/proc/${pid}/cmdline`)).replaceAll('\0', ' ').trim();
    if (commandLine !== '') found.push({ pid, commandLine });
  }
  return found;
}

async function inhabitedNamespaces(run: string): Promise<Set<string>> {
  const result = new Set<string>();
  for (const pid of await processIds()) {
    const namespace = await readlink(`/proc/${pid}/ns/net`).catch(() => '');
    if (namespace !== '' && !(await carriesMark(pid, run))) result.add(/\d+/.exec(namespace)?.[0] ?? '');
  }
  return result;
}

/** Ids of the engines that run and are not of this run: a pool's engine names what it makes by a hash of the pool's home. */
async function enginesOfOthers(run: string): Promise<string[]> {
  const ids = [];
  for (const pid of await processIds()) {
    const home = /\0--config-file\0(.*)\/engine\/daemon\.json/.exec(await readQuietly(`/proc/${pid}/cmdline`))?.[1];
    if (home !== undefined && !(await carriesMark(pid, run))) ids.push(createHash('sha256').update(home).digest('hex').slice(0, 8));
  }
  return ids;
}

async function carriesMark(pid: number, run: string): Promise<boolean> {
  return (await readQuietly(`/proc/${pid}/environ`)).split('\0').includes(`${runVariable}=${run}`);
}

async function namespaceInode(name: string): Promise<string> {
  return (await output('stat', ['--format=%i', `/run/netns/${name}`])).trim();
}

async function mountsUnder(directory: string): Promise<string[]> {
  const lines = (await readQuietly('/proc/self/mountinfo')).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(`${directory}/`));
}

async function loopDevicesUnder(directory: string): Promise<string[]> {
  const lines = (await output('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'])).split('\n');
  return lines.filter((line) => line.includes(`${directory}/`));
}

async function readTables(): Promise<string[]> {
  return (await output('nft', ['list', 'tables'])).split('\n').filter((line) => line.includes('potluck'));
}

async function readCgroups(): Promise<string[]> {
  const root = '/sys/fs/cgroup';
  const hierarchies = ['', ...(await listDirectory(root))];
  const found = hierarchies.map(async (name) =>
    (await listDirectory(join(root, name))).filter((child) => child.startsWith('potluck-')).map((child) => join(root, name, child)),
  );
  return (await Promise.all(found)).flat();
}

async function processIds(): Promise<number[]> {
  return (await listDirectory('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

async function listDirectory(path: string): Promise<string[]> {
  return await readdir(path).catch(() => []);
}

async function readQuietly(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}

async function output(command: string, args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(command, [...args], { timeout: 10_000 })).stdout;
  } catch {
    return '';
  }
}

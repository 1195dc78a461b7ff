/**
 * The pool's mount namespace, in which its daemons see what the machine must not: a range of user ids of their own in `/etc/subuid`, a name
 * server that answers in the pool's network, and a way to the engine's data for users who may not walk through the owner's folders.
 * The machine's own files stay as they are, so a crash leaves nothing in `/etc`.
 */
import { chmod, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { chooseIdRange, idsOfInstances, parseIdMap, parseIdRanges } from './id-range.ts';
import type { IdRange } from './id-range.ts';
import { readMounts } from './mount-table.ts';
import type { PoolPaths } from './pool-paths.ts';
import { runCommand } from './run-command.ts';

/** dockerd wants a user that exists, to look its range up by; on every Linux this one does, and owns nothing. */
const anybody = { name: 'nobody', id: '65534' };
/** What dockerd's `userns-remap` is set to. */
export const remappedUser = anybody.id;

/**
 * Our files over the machine's; again where the machine's was replaced by a new file, which takes a mount on the old one away. `$1` is the
 * engine's folder.
 */
const cover = `set -e
cover() { cmp -s "$1" "$2" || mount --bind "$1" "$2"; }
cover "$1/subuid" /etc/subuid
cover "$1/subuid" /etc/subgid
[ ! -e /etc/resolv.conf ] || [ ! -e "$1/resolv.conf" ] || cover "$1/resolv.conf" /etc/resolv.conf
`;
/** `$2` is the folder above that others may not enter, empty when there is none. */
const makeWay = `
if [ -n "$2" ]; then
  cd "$1"
  mount -t tmpfs -o mode=0755,size=1m potluck "$2"
  mkdir -p -m 0755 "$1"
  mount --no-canonicalize --rbind /proc/self/cwd "$1"
fi`;

/** The range that instances of this engine have, if it has one already. Their disks belong to it: it stays until the engine is purged. */
export async function readIdRange(paths: PoolPaths): Promise<IdRange | undefined> {
  return parseIdRanges(await readFile(paths.idFile, 'utf8').catch(() => ''))[0];
}

/** One that nobody else has. Rejects where the machine has no user namespaces or no ids to give. */
export async function findIdRange(paths: PoolPaths): Promise<IdRange> {
  const texts = await Promise.all(['/etc/subuid', '/etc/subgid'].map((file) => readFile(file, 'utf8')));
  const existing = parseIdMap(await readFile('/proc/self/uid_map', 'utf8'));
  const range = chooseIdRange(texts.flatMap(parseIdRanges), existing, parseInt(paths.id, 16));
  if (range === undefined) throw new Error(`no ${idsOfInstances} user ids are free on this machine`);
  await runCommand('unshare', ['--user', 'true']);
  return range;
}

export async function writeIdRange(paths: PoolPaths, { first, count }: IdRange): Promise<void> {
  await writeFile(paths.idFile, `${anybody.name}:${first}:${count}\n`);
}

/** Makes the namespace, or finds it with the data in it; safe to repeat. */
export async function setUpMounts(paths: PoolPaths, dataRoot: string): Promise<void> {
  // dockerd refuses folders that the remapped root cannot walk through; what is in here is closed one by one.
  await chmod(paths.directory, 0o711);
  const engine = await realpath(paths.directory);
  if (await isWhole(paths, dataRoot)) {
    await runCommand('nsenter', [`--mount=${paths.mountNamespace}`, 'sh', '-c', cover, 'sh', engine]);
    return;
  }
  await tearDownMounts(paths);
  await mkdir(paths.mounts, { recursive: true, mode: 0o700 });
  // A mount namespace can only be kept by a mount that no other namespace copies.
  await runCommand('mount', ['--bind', paths.mounts, paths.mounts]);
  await runCommand('mount', ['--make-private', paths.mounts]);
  await writeFile(paths.mountNamespace, '');
  const script = ['sh', '-c', cover + makeWay, 'sh', engine, (await closedFolder(dirname(engine))) ?? ''];
  await runCommand('unshare', [`--mount=${paths.mountNamespace}`, '--propagation', 'private', ...script]);
}

/** Safe to repeat; what runs in it keeps it until it ends. */
export async function tearDownMounts(paths: PoolPaths): Promise<void> {
  const ours = (await readMounts()).map(({ target }) => target).filter((target) => [paths.mountNamespace, paths.mounts].includes(target));
  for (const target of ours.reverse()) await runCommand('umount', ['--lazy', target]);
  await rm(paths.mounts, { recursive: true, force: true });
}

/** Data that were mounted after the namespace was made are not in it. */
async function isWhole(paths: PoolPaths, dataRoot: string): Promise<boolean> {
  if (!(await readMounts()).some(({ target }) => target === paths.mountNamespace)) return false;
  const inside = [`--mount=${paths.mountNamespace}`, 'stat', '--format=%d:%i', dataRoot];
  const { dev, ino } = await stat(dataRoot);
  return (await runCommand('nsenter', inside).catch(() => '')).trim() === `${dev}:${ino}`;
}

/** The uppermost of a folder and those above it that only some may enter. */
async function closedFolder(folder: string): Promise<string | undefined> {
  const above = folder === dirname(folder) ? undefined : await closedFolder(dirname(folder));
  if (above !== undefined) return above;
  return ((await stat(folder)).mode & 0o001) === 0 ? folder : undefined;
}

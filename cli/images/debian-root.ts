import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { UserError } from '../../api/errors.ts';
import { debianMirror } from './debian-mirror.ts';

export const debianReference = 'debian:12';
const suite = 'bookworm';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const neededBytes = 800_000_000;
const timeoutMs = 15 * 60_000;

export interface RootOptions {
  /** The tar file; nothing is done when it is there. */
  file: string;
  report: (where: string) => void;
  signal: AbortSignal;
}

/**
 * Makes the tar of a small Debian 12 with debootstrap, which checks the archive's signatures; takes a minute or two. Whatever is cut off
 * leaves no file.
 */
export async function ensureDebianRoot({ file, report, signal }: RootOptions): Promise<void> {
  if (existsSync(file)) return;
  const directory = dirname(file);
  await mkdir(directory, { recursive: true });
  await requireSpace(directory);
  await removeRemains(file);
  const build = `${file}.build-${process.pid}`;
  const unfinished = `${file}.new-${process.pid}`;
  try {
    const mirror = debianMirror(await readSources(), suite);
    // In a mount namespace of its own, so that what debootstrap mounts is gone with it, however it ends.
    const debootstrap = [
      '--mount',
      '--propagation',
      'private',
      'debootstrap',
      '--variant=minbase',
      `--keyring=${keyring}`,
      suite,
      build,
      mirror,
    ];
    await run('unshare', debootstrap, { report, signal });
    report('packing');
    const left = ['./dev/*', './proc/*', './sys/*', './var/cache/apt/archives/*.deb', './var/lib/apt/lists/*', './var/log/bootstrap.log'];
    const tar = ['--create', '--numeric-owner', '--one-file-system', ...left.map((path) => `--exclude=${path}`)];
    await run('tar', [...tar, '--file', unfinished, '--directory', build, '.'], { report, signal });
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
    await rm(build, { recursive: true, force: true });
  }
}

async function requireSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= neededBytes) return;
  const what = `${directory} has ${Math.round((bavail * bsize) / 1e6)} MB free, and making ${debianReference} needs ${neededBytes / 1e6} MB`;
  throw new UserError('DISK_FULL', what, 'Make room, or choose another place with --home');
}

/** Of runs that were killed: `<file>.build-<pid>` and `<file>.new-<pid>`. */
async function removeRemains(file: string): Promise<void> {
  for (const name of await readdir(dirname(file))) {
    if (!name.startsWith(`${basename(file)}.`)) continue;
    const pid = /\.(?:build|new)-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await rm(join(dirname(file), name), { recursive: true, force: true });
  }
}

async function readSources(): Promise<string[]> {
  const directory = '/etc/apt/sources.list.d';
  const names = (await readdir(directory).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name)).sort();
  const files = ['/etc/apt/sources.list', ...names.map((name) => join(directory, name))];
  return await Promise.all(files.map((path) => readFile(path, 'utf8').catch(() => '')));
}

async function run(
  command: string,
  args: readonly string[],
  options: { report: (where: string) => void; signal: AbortSignal },
): Promise<void> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, LC_ALL: 'C' } });
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  const stop = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  const lastLines: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > 5) lastLines.shift();
      options.report(line.replace(/^I: /, '').slice(0, 60));
    });
  }
  stop.addEventListener('abort', kill);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    options.signal.throwIfAborted();
    if (code === 0) return;
    const why = stop.aborted ? `it took longer than ${timeoutMs / 60_000} minutes` : lastLines.join('; ').slice(-400);
    const remedy = 'Check that the package sources in /etc/apt can be reached, or give a root file system with --rootfs FILE';
    throw new UserError('DOWNLOAD_FAILED', `${args.find((arg) => arg === 'debootstrap') ?? command} failed: ${why}`, remedy);
  } finally {
    stop.removeEventListener('abort', kill);
  }
}

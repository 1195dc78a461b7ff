import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { UserError } from '../../api/errors.ts';
import { buildCommand, packCommand } from './build-commands.ts';
import { parseImageDefinition } from './image-definition.ts';
import type { ImageDefinition } from './image-definition.ts';

const definitions = join(import.meta.dirname, '../../images');
const neededBytes = 800_000_000;
const timeoutMs = 30 * 60_000;

export interface RootOptions {
  /** The tar file; nothing is done when it is there. */
  file: string;
  report: (where: string) => void;
  signal: AbortSignal;
}

export const debianReference = 'debian:12';

/** Makes the tar of a small Debian 12: `images/debian-12.yaml` without the packages that are for comfort. Takes a minute or two. */
export async function ensureDebianRoot(options: RootOptions): Promise<void> {
  const definition = await readDefinition(join(definitions, 'debian-12.yaml'));
  await ensureRoot({ ...definition, source: { ...definition.source, packages: [] } }, options);
}

export async function readDefinition(file: string): Promise<ImageDefinition> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError('BAD_ARGUMENT', `${file} cannot be read`, 'Name a definition, for example images/debian-12.yaml', { cause: error });
  });
  return parseImageDefinition(text, file);
}

/**
 * Makes the tar of a root file system with the distribution's own tool, which checks the signatures of what it fetches. Whatever is cut off leaves
 * no file.
 */
export async function ensureRoot(definition: ImageDefinition, { file, report, signal }: RootOptions): Promise<void> {
  if (existsSync(file)) return;
  const directory = dirname(file);
  await mkdir(directory, { recursive: true });
  await requireSpace(directory, definition.reference);
  requireKeyring(definition);
  await removeRemains(file);
  const build = `${file}.build-${process.pid}`;
  const unfinished = `${file}.new-${process.pid}`;
  try {
    await run(buildCommand(definition, build, await readSources()), { report, signal });
    report('packing');
    await run(packCommand(build, unfinished), { report, signal });
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
    await rm(build, { recursive: true, force: true });
  }
}

function requireKeyring({ source, reference }: ImageDefinition): void {
  if (existsSync(source.keyring)) return;
  const what = `${source.keyring}, by which the packages of ${reference} are checked, is not there`;
  throw new UserError('BAD_ARGUMENT', what, 'images/README.md says where it is to be had');
}

async function requireSpace(directory: string, reference: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= neededBytes) return;
  const what = `${directory} has ${Math.round((bavail * bsize) / 1e6)} MB free, and making ${reference} needs ${neededBytes / 1e6} MB`;
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
  [command = '', ...args]: readonly string[],
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
    throw new UserError(
      'DOWNLOAD_FAILED',
      `${args.find((arg) => arg === 'debootstrap' || arg === 'dnf') ?? command} failed: ${why}`,
      remedy,
    );
  } finally {
    stop.removeEventListener('abort', kill);
  }
}

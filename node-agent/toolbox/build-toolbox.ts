/** Makes the toolbox: programs and libraries of Debian's packages, picked out of them, and our scripts. */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { unpack } from './debian-packages.ts';
import type { AptSource, PackageFile } from './debian-packages.ts';
import { readElf } from './elf-file.ts';
import { manifestName, measureFiles } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import {
  localeFile,
  loginScript,
  preloadedLibrary,
  programs,
  shellScript,
  startScript,
  terminals,
  toolboxRevision,
  wrapper,
} from './toolbox-contents.ts';

export interface BuildOptions {
  apt: AptSource;
  files: readonly PackageFile[];
  architecture: string;
  /** Where toolboxes are kept; the new one is called by its id. */
  directory: string;
  report: (where: string) => void;
  signal: AbortSignal;
}

const run = promisify(execFile);
/** Something is wrong with packages that make more. */
const mostBytes = 32_000_000;

/** Another for other packages, other processors or other scripts. */
export function toolboxId(files: readonly PackageFile[], architecture: string): string {
  return digest([scriptsId(), architecture, ...files.map(({ file, hash }) => `${file} ${hash}`).sort()]);
}

/** Of what is ours in it: the agent and the scripts that it starts belong together. */
export function scriptsId(): string {
  return digest([
    String(toolboxRevision),
    startScript,
    loginScript,
    shellScript,
    ...programs.map(({ name }) => wrapper(name)),
    ...terminals,
  ]);
}

function digest(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** Answers the manifest of what then stands under `directory/v-<id>`. */
export async function buildToolbox(options: BuildOptions): Promise<Manifest> {
  const { apt, files, architecture, directory, report, signal } = options;
  const work = await mkdtemp(join(directory, 'build-'));
  try {
    const [debs, root, made] = (await Promise.all(
      ['debs', 'root', 'made'].map((name) => mkdir(join(work, name)).then(() => join(work, name))),
    )) as [string, string, string];
    report(`downloading ${files.length} packages, ${Math.ceil(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6)} MB`);
    const paths = await apt.download(files, debs);
    report('unpacking');
    for (const path of paths) await unpack(path, root, signal);
    await assemble(root, made);
    const measured = await measureFiles(made);
    if (measured.bytes > mostBytes)
      throw new Error(`the tools would take ${Math.round(measured.bytes / 1e6)} MB; at most ${mostBytes / 1e6} are right`);
    const id = toolboxId(files, architecture);
    const manifest: Manifest = { id, scripts: scriptsId(), architecture, packages: files, ...measured };
    await writeFile(join(made, manifestName), `${JSON.stringify(manifest, undefined, 1)}\n`, { mode: 0o644 });
    await chmod(made, 0o755);
    const target = join(directory, `v-${id}`);
    await rm(target, { recursive: true, force: true });
    await rename(made, target);
    return manifest;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `root`: packages unpacked over each other. */
async function assemble(root: string, made: string): Promise<void> {
  for (const folder of ['bin', 'lib', 'wrap', 'terminfo']) await mkdir(join(made, folder), { mode: 0o755 });
  const libraries = await libraryIndex(root);
  const needed = [preloadedLibrary];
  let loader: string | undefined;
  for (const program of programs) {
    const source = await firstThere(program.paths.map((path) => join(root, path)));
    if (source === undefined) {
      if (program.optional === true) continue;
      throw new Error(`the packages have no ${program.paths[0]}`);
    }
    await place(source, join(made, 'bin', program.name), 0o755);
    const elf = readElf(await readFile(source));
    needed.push(...(elf?.libraries ?? []));
    loader ??= elf?.interpreter;
    if (program.name !== 'busybox') await writeFile(join(made, 'wrap', program.name), wrapper(program.name), { mode: 0o755 });
  }
  await placeLibraries(needed, libraries, join(made, 'lib'));
  const loaderFile = libraries.get(basename(loader ?? ''));
  if (loaderFile === undefined) throw new Error(`the packages have no loader ${loader ?? 'at all'}`);
  await place(loaderFile, join(made, 'ld.so'), 0o755);
  for (const [name, text] of [
    ['sh', shellScript],
    ['login', loginScript],
  ] as const)
    await writeFile(join(made, 'wrap', name), text, { mode: 0o755 });
  await writeFile(join(made, 'bin/start-sshd'), startScript, { mode: 0o755 });
  await placeApplets(made);
  await placeData(root, made);
}

/** Every program that busybox is, by its name. */
async function placeApplets(made: string): Promise<void> {
  const { stdout } = await run(join(made, 'bin/busybox'), ['--list'], { timeout: 10_000 });
  await mkdir(join(made, 'applets'), { mode: 0o755 });
  for (const name of stdout.split('\n'))
    if (/^[a-z0-9_.-]+$/.test(name) || name === '[' || name === '[[') await symlink('../bin/busybox', join(made, 'applets', name));
}

/** What tmux reads. */
async function placeData(root: string, made: string): Promise<void> {
  const locale = join(root, 'usr/lib', localeFile);
  if ((await firstThere([locale])) !== undefined) await place(locale, join(made, localeFile), 0o644);
  for (const name of terminals) {
    const source = await firstThere(['lib', 'usr/lib', 'usr/share'].map((folder) => join(root, folder, 'terminfo', name.charAt(0), name)));
    if (source === undefined) continue;
    await mkdir(join(made, 'terminfo', name.charAt(0)), { recursive: true, mode: 0o755 });
    await place(source, join(made, 'terminfo', name.charAt(0), name), 0o644);
  }
}

/** With those that they need themselves. The loader's own name is among them; it stands elsewhere. */
async function placeLibraries(names: readonly string[], index: ReadonlyMap<string, string>, directory: string): Promise<void> {
  const done = new Set<string>();
  for (let rest = [...names]; rest.length > 0;) {
    const name = rest.pop() ?? '';
    if (done.has(name)) continue;
    done.add(name);
    const source = index.get(name);
    if (source === undefined) throw new Error(`the packages have no library ${name}`);
    await place(source, join(directory, name), 0o644);
    rest = [...rest, ...(readElf(await readFile(source))?.libraries ?? [])];
  }
}

/** Of each library by its name, where it is. */
async function libraryIndex(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const folder of ['lib', 'lib64', 'usr/lib', 'usr/lib64']) {
    const paths = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of paths) {
      if (!/\.so(\.|$)/.test(entry.name) || entry.isDirectory()) continue;
      const path = join(entry.parentPath, entry.name);
      // A package's own absolute links lead out of where it was unpacked.
      if (!found.has(entry.name) && (await isWithin(path, root))) found.set(entry.name, path);
    }
  }
  return found;
}

async function isWithin(path: string, root: string): Promise<boolean> {
  const real = await realpath(path).catch(() => '');
  return real.startsWith(`${await realpath(root)}/`);
}

async function firstThere(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const there = await stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
    if (there) return path;
  }
  return undefined;
}

async function place(source: string, target: string, mode: number): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(await realpath(source), target);
  await chmod(target, mode);
}

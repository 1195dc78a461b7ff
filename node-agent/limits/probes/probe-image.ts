/**
 * An image that every machine can make for itself, without a download: this machine's own shell, with the libraries that it needs. Its
 * built-in commands can use up CPU, memory, processes and disk, which is all that a probe has to do.
 */
import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';

export const probeImage = 'potluck-probe/shell:1';

const run = promisify(execFile);
const shell = '/bin/sh';
const mostBytes = 64 * 1024 * 1024;
const timeoutMs = 30_000;

/** The image's root directory as a tar, two to three megabytes. */
export async function packShell(): Promise<Uint8Array> {
  const libraries = [...new Set(parseLibraries(await listLibraries(await realpath(shell))))];
  const files = [shell, ...libraries].map((path) => path.slice(1));
  // Links are followed: in the image every file is where it is looked for. Directories are named, since an engine makes those that are not for itself.
  const args = ['--create', '--dereference', '--no-recursion', '--file=-', '--directory=/', ...withParents(files)];
  const { stdout } = await run('tar', args, { encoding: 'buffer', maxBuffer: mostBytes, timeout: timeoutMs });
  return stdout;
}

/** Each directory before what is in it. */
export function withParents(files: readonly string[]): string[] {
  const parents = files.flatMap((file) =>
    file.split('/').flatMap((_, depth, parts) => (depth === 0 ? [] : parts.slice(0, depth).join('/'))),
  );
  return [...new Set([...parents, ...files])];
}

/** Empty for a shell that needs none: `ldd` fails then. */
async function listLibraries(program: string): Promise<string> {
  return run('ldd', [program], { timeout: timeoutMs, env: { ...process.env, LC_ALL: 'C' } }).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

/** From what `ldd` prints: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` and, for the loader, `/lib64/ld-linux-x86-64.so.2 (0x…)`. */
export function parseLibraries(text: string): string[] {
  return text.split('\n').flatMap((line) => /(?:=>\s+|^\s+)(\/\S+)\s+\(0x/.exec(line)?.[1] ?? []);
}

/** The kubectl of Debian's own `kubernetes-client` (1.20 on Debian 12), unpacked but not installed: it reads OpenAPI v2 only, as protobuf. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const packageName = 'kubernetes-client';
const downloadTimeoutMs = 120_000;

/** The path of that kubectl: the system's if it is that one, else one kept between runs. Throws with what to do when it cannot be had. */
export async function findOldKubectl(): Promise<string> {
  const version = await candidateVersion();
  const system = '/usr/bin/kubectl';
  if ((await installedVersion()) === version && (await isThere(system))) return system;
  // Not under the run's own TMPDIR, which must be empty at the end of the tests.
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'potluck');
  const kept = join(cache, `${packageName}-${version.replace(/[^\w.+~-]/gu, '_')}`);
  const kubectl = join(kept, 'usr/bin/kubectl');
  if (!(await isThere(kubectl))) await unpack(cache, version, kept);
  return kubectl;
}

/** Into a directory of its own first, so that a run that is cut short leaves nothing that looks whole. */
async function unpack(cache: string, version: string, kept: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, 'download-'));
  try {
    // apt warns that its own user cannot write here, and downloads as root.
    await run('apt-get', ['download', `${packageName}=${version}`], { cwd: directory, timeout: downloadTimeoutMs });
    const archive = (await readdir(directory)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get download left no package');
    const root = join(directory, 'root');
    await run('dpkg', ['-x', join(directory, archive), root]);
    await rename(root, kept).catch(async (error: unknown) => {
      // Another run may have been quicker.
      if (!(await isThere(join(kept, 'usr/bin/kubectl')))) throw error;
    });
  } catch (error) {
    throw unavailable(error);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function candidateVersion(): Promise<string> {
  const { stdout } = await run('apt-cache', ['policy', packageName]).catch((error: unknown) => {
    throw unavailable(error);
  });
  const version = /^\s*Candidate: (\S+)$/mu.exec(stdout)?.[1];
  if (version === undefined || version === '(none)') throw unavailable(new Error('apt knows no such package'));
  return version;
}

async function installedVersion(): Promise<string | undefined> {
  try {
    return (await run('dpkg-query', ['-W', '-f=${Version}', packageName])).stdout;
  } catch {
    return undefined;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function unavailable(cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(`Debian's ${packageName} cannot be fetched: ${reason.trim()}. Try apt-get update; the machine needs a Debian mirror`, {
    cause,
  });
}

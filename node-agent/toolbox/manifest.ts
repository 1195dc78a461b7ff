/** What a toolbox consists of, file by file, with checksums: nothing of it is used before they were found to hold. */
import { createHash } from 'node:crypto';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { PackageFile } from './debian-packages.ts';

export interface Manifest {
  id: string;
  /** As `scriptsId()`. */
  scripts: string;
  architecture: string;
  bytes: number;
  packages: readonly PackageFile[];
  /** By path. */
  files: Readonly<Record<string, FileFacts>>;
}

/** SHA-256 of the content, in hex, and whether it can be executed; or where a link leads. */
type FileFacts = { sha256: string; executable: boolean } | { link: string };

export const manifestName = 'manifest.json';

/** Of every file in the directory but the manifest itself. */
export async function measureFiles(directory: string): Promise<Pick<Manifest, 'files' | 'bytes'>> {
  const files: Record<string, FileFacts> = {};
  let bytes = 0;
  for (const path of await allFiles(directory)) {
    const name = relative(directory, path);
    if (name === manifestName) continue;
    const found = await lstat(path);
    if (found.isSymbolicLink()) {
      files[name] = { link: await readlink(path) };
      continue;
    }
    const content = await readFile(path);
    bytes += content.length;
    files[name] = { sha256: createHash('sha256').update(content).digest('hex'), executable: (found.mode & 0o111) !== 0 };
  }
  return { files, bytes };
}

/** Undefined when the directory has no toolbox or one that is not as it was made: a file that is missing, another, or one too many. */
export async function verifiedManifest(directory: string): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, manifestName), 'utf8')) as Manifest;
    const { files } = await measureFiles(directory);
    const inOrder = (all: Manifest['files']): string =>
      JSON.stringify(Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1)));
    return inOrder(files) === inOrder(manifest.files) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** What is neither file nor link has no place in it, and makes it another one. */
async function allFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const all = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return allFiles(path);
      if (!entry.isFile() && !entry.isSymbolicLink()) throw new Error(`${path} is no plain file`);
      return [path];
    }),
  );
  return all.flat().sort();
}

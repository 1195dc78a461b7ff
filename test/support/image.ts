/** A tiny image made on the spot: no registry can be reached in tests. Needs Debian's `busybox-static`. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rename, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';

export const testImage = 'potluck-test/busybox:1';
/** The same files under another name and with another id. */
export const otherTestImage = 'potluck-test/busybox:2';

const run = promisify(execFile);
const busybox = '/bin/busybox';
const applets =
  'sh sleep cat echo dd head tail true false env pwd hostname nproc yes wc ls sync kill ulimit nc httpd wget ip id mkdir'.split(' ');

/** Puts {@link testImage} into the engine, under another name if one is given; does nothing when it is there. */
export async function importTestImage(socketPath: string, reference = testImage): Promise<void> {
  const docker = new Docker({ socketPath });
  const isThere = await docker
    .getImage(reference)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (isThere) return;
  const tar = await imageTar();
  const [repo = '', tag = 'latest'] = reference.split(':');
  const stream = await docker.importImage(tar, { repo, tag, changes: ['CMD ["/bin/sh"]', `LABEL reference=${reference}`] } as object);
  stream.resume();
  await once(stream, 'end');
}

/** Made once for each version of busybox. */
async function imageTar(): Promise<string> {
  const { mtimeMs, size } = await stat(busybox).catch((error: unknown) => {
    throw new Error('tests need busybox-static: apt-get install busybox-static', { cause: error });
  });
  // Not under the run's own TMPDIR, which must be empty at the end of the tests.
  const directory = join(homedir(), '.cache/potluck');
  await mkdir(directory, { recursive: true });
  const cached = join(directory, `test-image-${size}-${Math.floor(mtimeMs)}.tar`);
  if (await stat(cached).catch(() => undefined)) return cached;
  const root = await mkdtemp(join(directory, 'test-image-'));
  try {
    for (const folder of ['bin', 'tmp', 'etc', 'root']) await mkdir(join(root, folder));
    await copyFile(busybox, join(root, 'bin/busybox'));
    for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
    await run('tar', ['-C', root, '-cf', `${root}.tar`, '.']);
    await rename(`${root}.tar`, cached);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return cached;
}

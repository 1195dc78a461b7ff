import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import type { Progress } from '../up/progress.ts';
import { debianReference, ensureDebianRoot } from './root-file-system.ts';
import { hasImage, importImage, registryAnswers } from './engine-images.ts';

/** How long the registry has to answer. */
const registryTimeoutMs = 3_000;

export interface SeedOptions {
  socketPath: string;
  /** Where the tar that was made is kept: the next engine gets it from there. */
  directory: string;
  /** A tar of a root file system to use instead of making one. */
  rootfs: string | undefined;
  progress: Progress;
  signal: AbortSignal;
}

/** Where no registry answers, gives the engine a `debian:12` made on this machine, so that instances run without internet. */
export async function seedImages(options: SeedOptions): Promise<void> {
  const { socketPath, progress, signal } = options;
  if (await hasImage(socketPath, debianReference, { signal })) return;
  if (options.rootfs === undefined && (await registryAnswers(socketPath, debianReference, registryTimeoutMs, { signal }))) return;
  const file = options.rootfs ?? join(options.directory, 'debian-12.tar');
  if (options.rootfs === undefined) {
    progress.note(
      `• no image registry answers: ${debianReference} is made here with debootstrap, once, from this machine's package sources (about 60 MB)`,
    );
    await progress.step(`${debianReference} made`, (report) => ensureDebianRoot({ file, report, signal }));
  }
  await access(file).catch((error: unknown) => {
    throw new UserError('BAD_ARGUMENT', `--rootfs ${file} cannot be read`, 'Give the path of a tar file', { cause: error });
  });
  await progress.step(`${debianReference} given to the engine`, () =>
    importImage(socketPath, createReadStream(file), debianReference, { signal }),
  );
}

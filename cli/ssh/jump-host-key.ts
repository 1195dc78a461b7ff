/** The jump host's own SSH key, in the pool's `pki/`: made once, so that it stays the same. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import type { PoolPaths } from '../up/pool-paths.ts';

export interface JumpHostKey {
  privatePem: string;
  /** As in a line of known_hosts. */
  publicLine: string;
}

function filesOf({ pki }: PoolPaths): { secret: string; open: string } {
  return { secret: join(pki, 'jump-host-ssh.key'), open: join(pki, 'jump-host-ssh.pub') };
}

/** Makes it where there is none. */
export async function ensureJumpHostKey(paths: PoolPaths): Promise<JumpHostKey> {
  const { secret, open } = filesOf(paths);
  const present = await readJumpHostKey(paths);
  if (present !== undefined) return present;
  await mkdir(paths.pki, { recursive: true, mode: 0o700 });
  const pair = makeSshKeyPair('potluck jump host');
  // The public half first: a key without it is made anew.
  await put(open, `${pair.publicLine}\n`, 0o644);
  await put(secret, pair.privatePem, 0o600);
  return pair;
}

/** Undefined where there is none yet. */
export async function readJumpHostKey(paths: PoolPaths): Promise<JumpHostKey | undefined> {
  const { secret, open } = filesOf(paths);
  const [privatePem, publicLine] = await Promise.all([read(secret), read(open)]);
  if (privatePem === undefined || publicLine === undefined) return undefined;
  return { privatePem, publicLine: publicLine.trim() };
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('STATE_DAMAGED', `${file} cannot be read: ${(error as Error).message}`, 'Run this as who runs the pool', {
      cause: error,
    });
  }
}

async function put(file: string, text: string, mode: number): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await rename(`${file}.new`, file);
}

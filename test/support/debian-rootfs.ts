import { homedir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianRoot } from '../../cli/images/root-file-system.ts';

/** The tar of a Debian 12 for tests, made once for this user (a minute or two) and kept: `$POTLUCK_TEST_ROOTFS`, or in the user's cache. */
export async function debianRootfs(): Promise<string> {
  const file = process.env['POTLUCK_TEST_ROOTFS'] ?? join(homedir(), '.cache/potluck/debian-12.tar');
  await ensureDebianRoot({ file, report: () => undefined, signal: new AbortController().signal });
  return file;
}

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

// Not every root shell has the sbin directories on its PATH (`su` without `-` does not).
const alwaysSearched = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * The path of a program, or undefined.
 * @param {string} name or the absolute path of a file, which then must only be there
 * @param {string} [path]
 * @returns {string | undefined}
 */
export function findProgram(name, path = process.env['PATH'] ?? '') {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  const directories = new Set([...path.split(delimiter).filter((directory) => directory.startsWith('/')), ...alwaysSearched]);
  for (const directory of directories) {
    const candidate = join(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

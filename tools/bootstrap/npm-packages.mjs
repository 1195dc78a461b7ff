import { readFileSync, statfsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BootstrapError } from './errors.mjs';
import { findProgram } from './find-program.mjs';
import { withProgress } from './progress.mjs';
import { complaintOf, runCommand } from './run-command.mjs';

const installMs = 15 * 60_000;
const neededBytes = 1e9;

/**
 * Whether node_modules holds exactly what package-lock.json says. npm writes `node_modules/.package-lock.json` as the last thing, so an
 * installation that was cut off does not count.
 *
 * @param {string} root where package.json is
 */
export function npmPackagesAreInstalled(root) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const present = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (wanted === undefined || present === undefined) return false;
  const differs = Object.entries(wanted).some(([path, entry]) => {
    if (path === '') return false;
    const found = present[path];
    // Of the optional ones, npm leaves out those for other machines, with what only they need.
    if (found === undefined) return entry.optional !== true;
    return found.version !== entry.version || found.integrity !== entry.integrity;
  });
  return !differs && Object.keys(present).every((path) => wanted[path] !== undefined);
}

/**
 * Runs `npm ci`, with the npm of the system: the one in node_modules is about to be replaced.
 *
 * @param {string} root where package.json is
 * @param {AbortSignal} signal
 */
export async function installNpmPackages(root, signal) {
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => !directory.includes('node_modules'))
    .join(delimiter);
  const npm = findProgram('npm', path);
  if (npm === undefined) {
    throw new BootstrapError(
      'NODE_TOO_OLD',
      'there is no npm beside this Node',
      'Install it (on Debian and Ubuntu: apt-get install npm), then run this again',
    );
  }
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < neededBytes) {
    throw new BootstrapError(
      'DISK_FULL',
      `the npm packages need 1 GB in ${root} and ${Math.round((bavail * bsize) / 1e6)} MB are free`,
      'Make room and run this again',
    );
  }
  await withProgress('npm packages: a download of about 150 MB, Node 24 among it', async () => {
    const result = await runCommand(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      timeoutMs: installMs,
      cwd: root,
      signal,
      env: { ...process.env, PATH: path },
    });
    signal.throwIfAborted();
    if (result.code !== 0) {
      throw new BootstrapError(
        'DOWNLOAD_FAILED',
        `npm ci in ${root} failed: ${complaintOf(result)}`,
        'Check the network and npm config get registry, then run this again',
      );
    }
  });
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean }} LockEntry
 * @param {string} file
 * @returns {Record<string, LockEntry> | undefined}
 */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

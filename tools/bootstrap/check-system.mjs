import { readFileSync } from 'node:fs';
import { BootstrapError } from './errors.mjs';

/**
 * @typedef {object} System
 * @property {string} platform as `process.platform`
 * @property {number} uid
 * @property {string} nodeVersion as `process.versions.node`
 * @property {string} osRelease what /etc/os-release says, or an empty string
 */

/** @returns {System} */
export function readSystem() {
  let osRelease = '';
  try {
    osRelease = readFileSync('/etc/os-release', 'utf8');
  } catch {
    // Then the name of the system is not known.
  }
  return { platform: process.platform, uid: process.getuid?.() ?? -1, nodeVersion: process.versions.node, osRelease };
}

/**
 * Whether packages can be installed with apt here: Debian, Ubuntu, and what says that it is like them.
 * @param {string} osRelease
 */
export function hasDebianPackages(osRelease) {
  return [field(osRelease, 'ID'), ...field(osRelease, 'ID_LIKE').split(' ')].some((id) => id === 'debian' || id === 'ubuntu');
}

/**
 * Throws what is wrong with the system that the first step cannot mend. Programs that are missing come with it where they cannot be installed.
 *
 * @param {System} system
 * @param {import('./system-packages.mjs').Script} script
 * @param {readonly { program: string, package: string }[]} missing
 */
export function checkSystem(system, script, missing) {
  const { platform, uid, nodeVersion, osRelease } = system;
  const name = field(osRelease, 'PRETTY_NAME') || platform;
  if (platform !== 'linux') {
    throw new BootstrapError(
      'UNSUPPORTED_SYSTEM',
      `Potluck runs on Linux, and this is ${name}`,
      'Use a machine or a virtual machine with Debian 12 or newer or Ubuntu 22.04 or newer',
    );
  }
  if (Number.parseInt(nodeVersion, 10) < 20) {
    throw new BootstrapError(
      'NODE_TOO_OLD',
      `Node ${nodeVersion} is too old for the first step, which needs 20 or newer`,
      'Install a newer one, for example from https://nodejs.org, and run this again',
    );
  }
  const programs = missing.map((entry) => entry.program).join(', ');
  if (missing.length > 0 && !hasDebianPackages(osRelease)) {
    throw new BootstrapError(
      'UNSUPPORTED_SYSTEM',
      `packages can be installed here only on Debian and Ubuntu, this is ${name}, and these programs are missing: ${programs}`,
      'Install them with the package manager of the system, then run this again',
    );
  }
  // Whoever joins with an engine that they may use needs root for packages only.
  if (uid === 0 || (script === 'join' && missing.length === 0)) return;
  const what = missing.length > 0 ? ` Packages that it would install: ${missing.map((entry) => entry.package).join(' ')}.` : '';
  const command = { join: 'bin/potluck join', start: 'npm start', test: 'npm test' }[script];
  throw new BootstrapError(
    'NOT_ROOT',
    `${command} must run as root, because it starts a container engine with limits and a network of its own`,
    `Run: sudo env "PATH=$PATH" ${command}${script === 'join' ? ' with the same arguments' : ''}.${what}`,
  );
}

/**
 * @param {string} osRelease
 * @param {string} key
 */
function field(osRelease, key) {
  const line = osRelease.split('\n').find((candidate) => candidate.startsWith(`${key}=`));
  return line === undefined
    ? ''
    : line
        .slice(key.length + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1');
}

import { statfsSync } from 'node:fs';
import { BootstrapError } from './errors.mjs';
import { findProgram } from './find-program.mjs';
import { say, withProgress } from './progress.mjs';
import { complaintOf, runCommand } from './run-command.mjs';
import { denyServiceStarts } from './service-policy.mjs';

/**
 * What is prepared for: lending this machine to a pool elsewhere, a pool of one's own, the tests. Each needs what those before it need.
 *
 * @typedef {'join' | 'start' | 'test'} Script
 */

/** @type {readonly Script[]} */
const scripts = ['join', 'start', 'test'];

/**
 * What runs Potluck and does not come from npm. A program that is there counts, wherever it comes from (docker-ce's dockerd, a kubectl from
 * kubernetes.io); only what is missing is installed.
 *
 * @typedef {object} Need
 * @property {string} program its name, or the absolute path of a file
 * @property {string} package the Debian package that has it
 * @property {Script} for the first of the scripts that needs it; those after need it too
 * @property {string} [elsewhere] where it can be had if the system has no package of it; then it is not needed to start
 * @property {readonly string[]} [services] units that the package enables for the next boot
 */

/** @type {readonly Need[]} */
export const needs = [
  { program: 'etcd', package: 'etcd-server', for: 'start', services: ['etcd.service'] },
  { program: 'dockerd', package: 'docker.io', for: 'join', services: ['docker.service', 'docker.socket'] },
  { program: 'containerd', package: 'containerd', for: 'join', services: ['containerd.service'] },
  { program: 'nft', package: 'nftables', for: 'join' },
  { program: 'iptables', package: 'iptables', for: 'join' },
  { program: 'ip', package: 'iproute2', for: 'join' },
  { program: 'tc', package: 'iproute2', for: 'join' },
  { program: 'mkfs.btrfs', package: 'btrfs-progs', for: 'join' },
  { program: 'mount', package: 'mount', for: 'join' },
  { program: 'nsenter', package: 'util-linux', for: 'join' },
  { program: 'debootstrap', package: 'debootstrap', for: 'start' },
  { program: 'gpgv', package: 'gpgv', for: 'start' },
  { program: '/usr/share/keyrings/debian-archive-keyring.gpg', package: 'debian-archive-keyring', for: 'start' },
  { program: 'kubectl', package: 'kubernetes-client', for: 'start', elsewhere: 'https://kubernetes.io/docs/tasks/tools/' },
  { program: '/bin/busybox', package: 'busybox-static', for: 'test' },
  { program: 'iperf3', package: 'iperf3', for: 'test' },
  { program: 'runsc', package: 'runsc', for: 'test' },
  { program: 'tcpdump', package: 'tcpdump', for: 'test' },
  { program: 'openssl', package: 'openssl', for: 'test' },
  { program: 'ssh-keygen', package: 'openssh-client', for: 'test' },
  { program: 'faketime', package: 'faketime', for: 'test' },
  { program: 'systemd-analyze', package: 'systemd', for: 'test' },
  { program: 'docker-registry', package: 'docker-registry', for: 'test', services: ['docker-registry.service'] },
  { program: 'htpasswd', package: 'apache2-utils', for: 'test' },
];

const minute = 60_000;
const listsMs = 5 * minute;
const downloadMs = 20 * minute;
const unpackMs = 20 * minute;
const aptOptions = [
  '-o',
  'Acquire::http::Timeout=30',
  '-o',
  'Acquire::https::Timeout=30',
  '-o',
  'Acquire::Retries=2',
  '-o',
  'DPkg::Lock::Timeout=120',
];
const installOptions = ['install', '-y', '--no-install-recommends', '--no-remove', ...aptOptions];

/**
 * What of it is not there.
 * @param {Script} script
 * @param {(program: string) => string | undefined} [find]
 */
export function missingNeeds(script, find = findProgram) {
  return needs.filter((need) => scripts.indexOf(need.for) <= scripts.indexOf(script) && find(need.program) === undefined);
}

/**
 * Installs what is missing; removes nothing, starts nothing, and enables nothing for the next boot.
 *
 * @param {readonly Need[]} missing
 * @param {Script} script
 * @param {AbortSignal} signal stops a download at once; what is being unpacked is finished first
 */
export async function installSystemPackages(missing, script, signal) {
  if (missing.length === 0) return;
  const wanted = await installable(missing, script, signal);
  if (wanted.length === 0) return;
  const packages = wanted.map((need) => need.package);
  const download = await sizeOfDownload(packages, signal);
  const { bavail, bsize } = statfsSync('/');
  if (bavail * bsize < download.bytes * 5) {
    const free = Math.round((bavail * bsize) / 1e6);
    throw new BootstrapError(
      'DISK_FULL',
      `the packages need about ${megabytes(download.bytes * 5)} on / and ${free} MB are free`,
      'Make room and run this again',
    );
  }
  say(
    `• installing ${packages.join(', ')}: ${download.count} packages, a download of ${megabytes(download.bytes)}; a minute or two on an ordinary line`,
  );
  await withProgress('downloading', async (report) => {
    await apt([...installOptions, '--download-only', ...packages], { timeoutMs: downloadMs, signal, report });
  });
  signal.throwIfAborted();
  const policy = denyServiceStarts();
  process.once('exit', policy.restore);
  try {
    await withProgress('unpacking', async (report) => {
      await apt([...installOptions, ...packages], { timeoutMs: unpackMs, report });
    });
    await disableServices(wanted.flatMap((need) => need.services ?? []));
  } finally {
    policy.restore();
    process.removeListener('exit', policy.restore);
  }
  signal.throwIfAborted();
  const still = wanted.filter((need) => findProgram(need.program) === undefined).map((need) => need.program);
  if (still.length > 0) {
    throw new BootstrapError(
      'DOWNLOAD_FAILED',
      `the packages are installed, and still missing are: ${still.join(', ')}`,
      'Install them by hand and run this again',
    );
  }
}

/**
 * Those that the system has a package of, with fresh lists if need be.
 *
 * @param {readonly Need[]} missing
 * @param {Script} script
 * @param {AbortSignal} signal
 */
async function installable(missing, script, signal) {
  let unknown = await withoutCandidate(missing, signal);
  if (unknown.length > 0) {
    await withProgress('fetching the lists of packages', async (report) => {
      await apt(['update', ...aptOptions], { timeoutMs: listsMs, signal, report });
    });
    unknown = await withoutCandidate(missing, signal);
  }
  const fatal = unknown.filter((need) => script === 'test' || need.elsewhere === undefined);
  if (fatal.length > 0) {
    throw new BootstrapError(
      'DOWNLOAD_FAILED',
      `the system's package sources have none of: ${fatal.map((need) => need.package).join(', ')}`,
      `Install by hand what gives ${fatal.map((need) => need.program + (need.elsewhere === undefined ? '' : ` (${need.elsewhere})`)).join(', ')}, or enable more sources (on Ubuntu, universe), then run this again`,
    );
  }
  for (const need of unknown) say(`• ${need.program} is not among the system's packages; it can be had from ${need.elsewhere}`);
  return missing.filter((need) => !unknown.includes(need));
}

/**
 * @param {readonly Need[]} missing
 * @param {AbortSignal} signal
 */
async function withoutCandidate(missing, signal) {
  const result = await Promise.all(
    missing.map(async (need) => {
      const { lines } = await runCommand('apt-cache', ['policy', need.package], { timeoutMs: minute, signal, env: plainEnvironment() });
      return lines.some((line) => /^\s*Candidate: (?!\(none\))/.test(line)) ? [] : [need];
    }),
  );
  signal.throwIfAborted();
  return result.flat();
}

/**
 * What apt would download, dependencies included and what is in its cache not.
 *
 * @param {readonly string[]} packages
 * @param {AbortSignal} signal
 */
async function sizeOfDownload(packages, signal) {
  let count = 0;
  let bytes = 0;
  const result = await runCommand('apt-get', [...installOptions, '--print-uris', '-qq', ...packages], {
    timeoutMs: minute,
    signal,
    env: plainEnvironment(),
    onLine: (line) => {
      const size = /^'[^']+' \S+ (\d+)/.exec(line)?.[1];
      if (size === undefined) return;
      count += 1;
      bytes += Number(size);
    },
  });
  signal.throwIfAborted();
  if (result.code !== 0) throw aptFailed(result);
  return { count, bytes };
}

/**
 * @param {readonly string[]} args
 * @param {{ timeoutMs: number, signal?: AbortSignal, report: (where: string) => void }} options
 */
async function apt(args, { timeoutMs, signal, report }) {
  const result = await runCommand('apt-get', ['-o', 'APT::Status-Fd=1', ...args], {
    timeoutMs,
    env: plainEnvironment(),
    ...(signal === undefined ? {} : { signal }),
    onLine: (line) => {
      // dlstatus:<n>:<percent>:<text> and pmstatus:<package>:<percent>:<text>, as apt's README.progress-reporting has it.
      const percent = /^(?:dl|pm)status:[^:]*:([\d.]+):/.exec(line)?.[1];
      if (percent !== undefined) report(`${Math.round(Number(percent))} %`);
    },
  });
  signal?.throwIfAborted();
  if (result.code !== 0) throw aptFailed(result);
}

/** @param {import('./run-command.mjs').CommandResult} result */
function aptFailed(result) {
  const remedy = result.lines.some((line) => line.includes('dpkg --configure -a'))
    ? 'Run dpkg --configure -a, then this again'
    : 'Check the network and the package sources (apt-get update), then run this again; what was done so far is kept';
  return new BootstrapError('DOWNLOAD_FAILED', `apt-get did not install the packages: ${complaintOf(result)}`, remedy);
}

/**
 * Packages that we brought do not start at the next boot either: the pool starts its own.
 * @param {readonly string[]} services
 */
async function disableServices(services) {
  if (services.length === 0 || findProgram('systemctl') === undefined) return;
  const { code } = await runCommand('systemctl', ['disable', '--quiet', ...services], { timeoutMs: minute });
  if (code === 0) say(`• not started and not enabled: ${services.join(', ')}`);
}

/** apt's answers in English, without questions. */
function plainEnvironment() {
  return { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1', APT_LISTCHANGES_FRONTEND: 'none' };
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}

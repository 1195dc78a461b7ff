/** The processes of the pool's engine: containerd, dockerd, and what containers left behind. */
import { readFile, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { killQuietly } from '../../runtime/survivor.ts';
import { DetachedProcess } from './detached-process.ts';
import type { PoolPaths } from './pool-paths.ts';

const cgroupRoot = '/sys/fs/cgroup';

export interface PoolProcesses {
  /** Its own one: the machine's, if there is one, has the containers of the owner's Docker in the same namespace. */
  containerd: DetachedProcess;
  dockerd: DetachedProcess;
}

/** `withMounts`: in the pool's mount namespace too. It does not matter for stopping them. */
export function poolProcesses(paths: PoolPaths, withMounts = false): PoolProcesses {
  const namespaces = [`--net=${paths.namespace}`, ...(withMounts ? [`--mount=${paths.mountNamespace}`] : [])];
  // `ip netns exec` would hide the cgroups.
  const inNamespace = (name: string, args: readonly string[]): DetachedProcess =>
    new DetachedProcess({
      name,
      command: 'nsenter',
      args: [...namespaces, name, ...args],
      logFile: paths.log(name),
      pidFile: paths.pidFile(name),
    });
  return {
    containerd: inNamespace('containerd', ['--config', paths.config('containerd.toml')]),
    dockerd: inNamespace('dockerd', ['--config-file', paths.config('daemon.json')]),
  };
}

/** Pids of the shims that belong to this engine: their command line names its socket. */
export async function findShims(paths: PoolPaths): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const shims = await Promise.all(
    pids.map(async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const isShim = (words[0] ?? '').includes('containerd-shim') && words[words.indexOf('-address') + 1] === paths.containerdSocket;
      return isShim ? [pid] : [];
    }),
  );
  return shims.flat();
}

/** Sockets of shims, which a killed shim leaves in a folder of all engines. */
async function shimSockets(paths: PoolPaths): Promise<string[]> {
  const bundles = join(paths.execRoot, 'containerd', 'io.containerd.runtime.v2.task', 'moby');
  const ids = await readdir(bundles).catch(() => []);
  const addresses = await Promise.all(ids.map((id) => readFile(join(bundles, id, 'address'), 'utf8').catch(() => '')));
  return addresses.flatMap((address) => /^unix:\/\/(\/run\/containerd\/s\/[0-9a-f]+)$/.exec(address.trim())?.[1] ?? []);
}

/** Ends whatever still runs in our containers, then their shims. For when there is no engine that could be asked. */
export async function killLeftovers(paths: PoolPaths): Promise<void> {
  const sockets = await shimSockets(paths);
  await killAll(paths);
  for (const socket of sockets) await rm(socket, { force: true });
}

async function killAll(paths: PoolPaths): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const left = [...(await processesIn(await ourCgroups(paths))), ...(await findShims(paths))];
    if (left.length === 0) return;
    for (const pid of left) killQuietly(pid, 'SIGKILL');
    await delay(100);
  }
}

/** Empty ones only: the kernel refuses others. */
export async function removeCgroups(paths: PoolPaths): Promise<void> {
  const cgroups = await ourCgroups(paths);
  // Children come after their parents.
  for (const cgroup of cgroups.reverse()) await rmdir(cgroup).catch(() => undefined);
}

/** Of every hierarchy (cgroup v1), with everything below them; parents first. */
async function ourCgroups(paths: PoolPaths): Promise<string[]> {
  const hierarchies = await readdir(cgroupRoot, { withFileTypes: true }).catch(() => []);
  const roots = [cgroupRoot, ...hierarchies.filter((entry) => entry.isDirectory()).map(({ name }) => join(cgroupRoot, name))];
  const all = await Promise.all(roots.map((root) => withChildren(join(root, paths.cgroup))));
  return all.flat();
}

async function withChildren(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const children = await Promise.all(entries.filter((entry) => entry.isDirectory()).map(({ name }) => withChildren(join(directory, name))));
  return [directory, ...children.flat()];
}

async function processesIn(cgroups: readonly string[]): Promise<number[]> {
  const lists = await Promise.all(cgroups.map((cgroup) => readFile(join(cgroup, 'cgroup.procs'), 'utf8').catch(() => '')));
  return [
    ...new Set(
      lists
        .join('\n')
        .split('\n')
        .filter((line) => line !== '')
        .map(Number),
    ),
  ];
}

/** dockerd and containerd make folders in /run whatever they are told; empty ones are taken away where no other engine uses them. */
export async function removeRunFolders(): Promise<void> {
  const hasSocket = async (path: string): Promise<boolean> =>
    readdir(path).then(
      (names) => names.some((name) => name.endsWith('.sock')),
      () => false,
    );
  if (!(await hasSocket('/run/containerd'))) {
    await rmdir('/run/containerd/s').catch(() => undefined);
    await rmdir('/run/containerd').catch(() => undefined);
  }
  const dockerRuns = await readFile('/run/docker.pid').then(
    () => true,
    () => false,
  );
  if (dockerRuns) return;
  await rmdir('/run/docker/plugins').catch(() => undefined);
  await rmdir('/run/docker').catch(() => undefined);
}

/** Sockets and pid files that a killed daemon left; a new one would stumble over them. */
export async function removeStaleFiles(paths: PoolPaths): Promise<void> {
  for (const name of ['dockerd.pid', 'docker.sock']) await rm(paths.config(name), { force: true });
}

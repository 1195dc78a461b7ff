/** A real dockerd with a network namespace, containerd, data and socket of its own, for a test: a "machine" of the pool. */
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { poolPaths } from '../../node-agent/engine/pool-paths.ts';
import type { PoolPaths } from '../../node-agent/engine/pool-paths.ts';
import { killLeftovers, poolProcesses, removeCgroups, removeRunFolders, removeStaleFiles } from '../../node-agent/engine/pool-processes.ts';
import { tearDownStorage } from '../../node-agent/engine/pool-storage.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { eventually } from './eventually.ts';

export interface TestDockerdOptions {
  /** `btrfs` has disk quotas and starts a little slower. `overlay2` when absent. */
  storageDriver?: 'overlay2' | 'btrfs';
  /** A namespace that exists already; the caller's to take away. A new one without any way out when absent. */
  namespace?: string;
}

export interface TestDockerd {
  socketPath: string;
  /** A file for `nsenter --net=`. */
  namespace: string;
  /** SIGKILL to dockerd; containers go on. */
  killHard(): Promise<void>;
  /** Starts it again after `killHard` and waits until it answers. */
  restart(): Promise<void>;
  /** Kills every container, stops the engine and removes everything. */
  stop(): Promise<void>;
}

export async function startTestDockerd(options: TestDockerdOptions = {}): Promise<TestDockerd> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-dockerd-'));
  const paths = poolPaths(home);
  if (options.namespace !== undefined) paths.namespace = options.namespace;
  const { containerd, dockerd } = poolProcesses(paths);
  await mkdir(paths.execRoot, { recursive: true });

  async function stop(): Promise<void> {
    await dockerd.stop(20_000);
    await killLeftovers(paths);
    await containerd.stop(20_000);
    await tearDownStorage(paths, silentLogger);
    if (options.namespace === undefined) await runCommand('umount', [paths.namespace]).catch(() => undefined);
    await removeCgroups(paths);
    await removeRunFolders();
    await rm(home, { recursive: true, force: true });
  }

  async function start(): Promise<void> {
    await removeStaleFiles(paths);
    await dockerd.ensureRunning();
    const engine = createDockerEngine(paths.socket);
    await eventually(() => engine.info(), { timeoutMs: 30_000, what: `dockerd to answer (${paths.log('dockerd')})` });
  }

  try {
    if (options.namespace === undefined) await makeNamespace(paths.namespace);
    await writeConfigs(paths, options.storageDriver ?? 'overlay2');
    await containerd.ensureRunning();
    await start();
  } catch (error) {
    const lines = [...(await containerd.lastLines()), ...(await dockerd.lastLines())];
    await stop();
    throw new Error(`the test's dockerd did not start: ${lines.join(' | ')}`, { cause: error });
  }
  return { socketPath: paths.socket, namespace: paths.namespace, killHard: () => dockerd.stop(0), restart: start, stop };
}

async function makeNamespace(path: string): Promise<void> {
  await writeFile(path, '');
  await runCommand('unshare', [`--net=${path}`, 'true']);
  await runCommand('nsenter', [`--net=${path}`, 'ip', 'link', 'set', 'lo', 'up']);
}

async function writeConfigs(paths: PoolPaths, storageDriver: 'overlay2' | 'btrfs'): Promise<void> {
  await mkdir(paths.loopMount, { recursive: true });
  if (storageDriver === 'btrfs') {
    await writeFile(paths.loopFile, '');
    await truncate(paths.loopFile, 2 * 1024 ** 3);
    await runCommand('mkfs.btrfs', ['--quiet', paths.loopFile]);
    await runCommand('mount', ['-t', 'btrfs', '-o', 'loop', paths.loopFile, paths.loopMount]);
  }
  const containerd = `version = 2
root = "${paths.config('containerd')}"
state = "${paths.execRoot}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${paths.containerdSocket}"
`;
  const dockerd = {
    hosts: [`unix://${paths.socket}`],
    'data-root': paths.loopMount,
    'exec-root': paths.execRoot,
    pidfile: paths.config('dockerd.pid'),
    containerd: paths.containerdSocket,
    'storage-driver': storageDriver,
    'cgroup-parent': `/${paths.cgroup}`,
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    'live-restore': true,
    'userland-proxy': false,
    'log-level': 'warn',
  };
  await writeFile(paths.config('containerd.toml'), containerd);
  await writeFile(paths.config('daemon.json'), JSON.stringify(dockerd));
}

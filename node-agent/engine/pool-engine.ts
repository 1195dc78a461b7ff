/**
 * The pool's own container engine: a containerd and a dockerd with data, sockets, network namespace and cgroups of their own, beside and
 * without touching what Docker the machine has. They outlive the agent, as instances must, and are found again by the next one.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff } from '../../api/backoff.ts';
import { UserError } from '../../api/errors.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { BandwidthLimits } from '../limits/bandwidth/bandwidth-limits.ts';
import { PoolBandwidth } from '../limits/bandwidth/pool-bandwidth.ts';
import { createDockerEngine } from './docker-engine.ts';
import { setUpData } from './pool-data.ts';
import { glanceAt, KnownGood } from './pool-glance.ts';
import { remappedUser, setUpMounts, tearDownMounts } from './pool-mounts.ts';
import { setUpNetwork, tearDownNetwork } from './pool-network.ts';
import type { PoolNetwork } from './pool-network.ts';
import { poolPaths } from './pool-paths.ts';
import type { PoolPaths } from './pool-paths.ts';
import { findShims, killLeftovers, poolProcesses, removeCgroups, removeRunFolders, removeStaleFiles } from './pool-processes.ts';
import type { PoolProcesses } from './pool-processes.ts';
import { tearDownStorage } from './pool-storage.ts';
import type { PoolStorage } from './pool-storage.ts';
import { bridgeOf } from './pool-subnet.ts';
import { succeeds } from './run-command.ts';
import { admitRunning, guardedRuntime, writeStartGuard } from './start-guard.ts';
import { WallState } from './walls/wall-state.ts';

export interface PoolEngineOptions {
  /** `$POTLUCK_HOME`. */
  home: string;
  /** Of all images and instances together, when the storage is made; most of what is free when absent. */
  diskBytes?: number;
  /** An IPv4 address that is asked for instances instead of the machine's own name server. */
  nameServer?: string;
  /** How often rules are asserted and logs rotated; 30 s when absent. */
  upkeepMs?: number;
  logger: Logger;
}

export interface PoolEngine {
  socketPath: string;
  readonly bandwidth: BandwidthLimits;
  readonly walls: WallState;
  /** Whether root in an instance is nobody on the machine. */
  readonly remapped: boolean;
  /** Leaves the engine and its containers running and stops looking after them. */
  detach(): Promise<void>;
  /** Ends every container and the engine, and takes its network and mounts away; images and disks stay. Stop instances first for a clean end. */
  stop(): Promise<void>;
  /** Stops, and removes everything that was ever made. */
  purge(): Promise<void>;
}

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;
const watchIntervalMs = 1_000;
const defaultUpkeepMs = 30_000;
const restartBackoff = { baseMs: 200, capMs: 10_000 };

/** Starts the engine or finds it running, and restarts it when it dies. Needs root. */
export async function startPoolEngine(options: PoolEngineOptions): Promise<PoolEngine> {
  const { home, logger } = options;
  const paths = poolPaths(home);
  await mkdir(paths.directory, { recursive: true, mode: 0o711 });
  const network = await setUpNetwork(paths, options.nameServer);
  const walls = new WallState(logger);
  // Together, since neither needs the other: a start is waited for.
  const [{ storage, remapped }] = await Promise.all([setUpData(paths, options.diskBytes, logger), walls.hold(network)]);
  const processes = poolProcesses(paths, remapped);
  const bandwidth = new PoolBandwidth(paths);
  const daemons = { paths, processes, storage, network, walls, bandwidth, remapped, knownGood: new KnownGood(), logger };
  await bringUp(daemons);

  const stopping = new AbortController();
  const keeper = keepUp(daemons, options.upkeepMs ?? defaultUpkeepMs, stopping.signal);
  const detach = async (): Promise<void> => {
    stopping.abort();
    await keeper;
  };
  return {
    socketPath: paths.socket,
    bandwidth,
    walls,
    remapped,
    detach,
    stop: async () => {
      await detach();
      await stopPoolEngine(home, logger);
    },
    purge: async () => {
      await detach();
      await purgePoolEngine(home, logger);
    },
  };
}

/** Stops the engine of this home, whoever started it; safe to repeat. Not while an agent runs: that would start it again. */
export async function stopPoolEngine(home: string, logger: Logger): Promise<void> {
  const paths = poolPaths(home);
  const { containerd, dockerd } = poolProcesses(paths);
  await dockerd.stop(stopTimeoutMs);
  await killLeftovers(paths);
  await containerd.stop(stopTimeoutMs);
  await tearDownMounts(paths);
  await tearDownStorage(paths, logger);
  await tearDownNetwork(paths, logger);
  await rm(paths.execRoot, { recursive: true, force: true });
  await removeCgroups(paths);
  await removeRunFolders();
}

/** Stops the engine of this home and removes everything that it ever made there; safe to repeat. */
export async function purgePoolEngine(home: string, logger: Logger): Promise<void> {
  await stopPoolEngine(home, logger);
  const paths = poolPaths(home);
  await rm(paths.directory, { recursive: true, force: true });
  for (const name of ['containerd', 'dockerd']) {
    for (const suffix of ['', '.1', '.2']) await rm(`${paths.log(name)}${suffix}`, { force: true });
  }
}

interface Daemons {
  paths: PoolPaths;
  processes: PoolProcesses;
  storage: PoolStorage;
  network: PoolNetwork;
  walls: WallState;
  bandwidth: PoolBandwidth;
  remapped: boolean;
  knownGood: KnownGood;
  logger: Logger;
}

/** Starts what does not run, and waits until the engine answers. */
async function bringUp(daemons: Daemons): Promise<void> {
  const { paths, processes, logger } = daemons;
  if (!(await processes.containerd.isRunning())) {
    // After a reboot it would take the containers of the last boot for running ones.
    if ((await findShims(paths)).length === 0) await rm(paths.execRoot, { recursive: true, force: true });
    await mkdir(paths.execRoot, { recursive: true, mode: 0o700 });
    await writeFile(paths.config('containerd.toml'), containerdConfig(paths), { mode: 0o600 });
    await processes.containerd.ensureRunning();
  }
  const config = await dockerdConfig(daemons);
  // One that an older agent started goes on as that one wanted it. Containers live through its restart.
  if ((await processes.dockerd.isRunning()) && (await readFile(paths.config('daemon.json'), 'utf8').catch(() => '')) !== config) {
    await processes.dockerd.stop(stopTimeoutMs);
  }
  if (!(await processes.dockerd.isRunning())) {
    await removeStaleFiles(paths);
    await writeFile(paths.config('daemon.json'), config, { mode: 0o600 });
    await processes.dockerd.ensureRunning();
    logger.info("the pool's container engine is starting", { storageDriver: daemons.storage.storageDriver });
  }
  await whenReady(daemons);
  // dockerd gives it to the group `docker` where there is one.
  await chmod(paths.socket, 0o600);
  await holdLimits(daemons);
}

/** Limits of containers, and the ports of those that run. Without walls there is no network that they could be put on. Answers whether there was nothing to make. */
async function holdLimits({ paths, walls, bandwidth }: Daemons): Promise<boolean> {
  if (!walls.standing) return false;
  const stood = await bandwidth.assert();
  await admitRunning(paths);
  return stood;
}

async function whenReady({ paths, processes }: Daemons): Promise<void> {
  const engine = createDockerEngine(paths.socket);
  const deadline = performance.now() + readyTimeoutMs;
  for (;;) {
    try {
      await engine.info();
      return;
    } catch (error) {
      const isUp = await processes.dockerd.isRunning();
      if (isUp && performance.now() < deadline) {
        await delay(50);
        continue;
      }
      const lines = await processes.dockerd.lastLines();
      const what = `the pool's dockerd ${isUp ? 'does not answer' : 'ended'}${lines.length === 0 ? '' : ` (${lines.join(' | ')})`}`;
      throw new UserError('ENGINE_UNREACHABLE', what, `Look at ${paths.log('dockerd')}.`, { cause: error });
    }
  }
}

/** Restarts what died, until the signal aborts. */
async function keepUp(daemons: Daemons, upkeepMs: number, signal: AbortSignal): Promise<void> {
  const { processes, walls, logger } = daemons;
  const backoff = createBackoff(restartBackoff, Math.random);
  let waitMs = watchIntervalMs;
  let upkeptMs = performance.now();
  while (await wait(waitMs, signal)) {
    waitMs = watchIntervalMs;
    try {
      if (!(await processes.containerd.isRunning()) || !(await processes.dockerd.isRunning())) {
        logger.warn("the pool's container engine died and is started again");
        await bringUp(daemons);
      }
      backoff.reset();
      // Walls that are down are tried again at once.
      if (walls.standing && performance.now() - upkeptMs < upkeepMs) continue;
      upkeptMs = performance.now();
      await upkeep(daemons);
    } catch (error) {
      logger.warn("the pool's container engine cannot be kept up", { error });
      waitMs = watchIntervalMs + backoff.nextMs();
    }
  }
}

async function upkeep(daemons: Daemons): Promise<void> {
  const { paths, processes, network, walls, storage, remapped, knownGood } = daemons;
  await knownGood.keep({
    look: () => glanceAt(paths, remapped),
    mend: async () => {
      const wallsStood = await walls.hold(network);
      const limitsStood = await holdLimits(daemons);
      if (remapped) await setUpMounts(paths, storage.dataRoot);
      return wallsStood && limitsStood;
    },
  });
  await Promise.all([processes.containerd.rotateLog(), processes.dockerd.rotateLog()]);
}

async function wait(delayMs: number, signal: AbortSignal): Promise<boolean> {
  return delay(delayMs, true, { signal }).catch(() => false);
}

function containerdConfig(paths: PoolPaths): string {
  return `version = 2
root = "${paths.config('containerd')}"
state = "${paths.execRoot}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${paths.containerdSocket}"
[debug]
  level = "warn"
`;
}

/** In a file of our own: without one dockerd would read the owner's /etc/docker/daemon.json. */
async function dockerdConfig({ paths, storage, network, remapped, logger }: Daemons): Promise<string> {
  const hasIptables = await succeeds('nsenter', [`--net=${paths.namespace}`, 'iptables', '-w', '-t', 'nat', '-n', '-L']);
  if (!hasIptables) logger.info('iptables does not work on this machine; the walls of instances do not need it');
  const config = {
    hosts: [`unix://${paths.socket}`],
    'data-root': storage.dataRoot,
    'exec-root': paths.execRoot,
    pidfile: paths.config('dockerd.pid'),
    containerd: paths.containerdSocket,
    'storage-driver': storage.storageDriver,
    'cgroup-parent': `/${paths.cgroup}`,
    // The same on every machine, whoever manages its cgroups.
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    ...(remapped ? { 'userns-remap': remappedUser } : {}),
    runtimes: {
      [guardedRuntime]: { path: await writeStartGuard(paths) },
      // gVisor, where the machine has it; whether it works with a network is tried.
      ...((await succeeds('runsc', ['--version'])) ? { runsc: { path: await writeStartGuard(paths, 'runsc') } } : {}),
    },
    'default-runtime': guardedRuntime,
    bip: network.subnets.bridge,
    iptables: hasIptables,
    // The host translates addresses; the pool's rules see instances by their own.
    'ip-masq': false,
    // Docker has no other way to it; the rules on the bridge do the same.
    icc: !hasIptables,
    // Questions to the gateway go on to a name server; search domains would tell the owner's network's name.
    dns: [bridgeOf(network.subnets).gateway],
    'dns-search': ['.'],
    'userland-proxy': false,
    'live-restore': true,
    'no-new-privileges': true,
    'log-driver': 'local',
    'log-level': 'warn',
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

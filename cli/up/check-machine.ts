import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { UserError, type ErrorName } from '../../api/errors.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import type { HostPort } from '../command-line/host-port.ts';
import { formatHostPort } from '../command-line/host-port.ts';

/** etcd, logs and a first image fit into this. */
const neededBytes = 2 * 1024 ** 3;
const connectTimeoutMs = 5_000;

export interface ProviderNeeds {
  home: string;
  /** Socket of an engine that somebody else runs; the pool starts its own where absent. */
  engineSocket: string | undefined;
}

export interface MachineNeeds extends ProviderNeeds {
  listen: HostPort;
  /** Of an etcd that somebody else runs; the pool starts its own where absent. */
  etcdServers: readonly string[] | undefined;
}

/** Programs of the pool's own engine, each with the Debian package that has it. */
const enginePrograms: readonly (readonly [string, string])[] = [
  ['dockerd', 'docker.io'],
  ['containerd', 'containerd'],
  ['nft', 'nftables'],
  ['iptables', 'iptables'],
  ['ip', 'iproute2'],
  ['tc', 'iproute2'],
  ['mkfs.btrfs', 'btrfs-progs'],
  ['nsenter', 'util-linux'],
];

/** Throws what would otherwise fail later and less clearly: rights, programs, room, the port. */
export async function checkMachine(needs: MachineNeeds): Promise<void> {
  const { etcdServers } = needs;
  requireRights(needs);
  if (etcdServers === undefined)
    requirePrograms('ETCD_MISSING', [['etcd', 'etcd-server']], 'or give an etcd of your own with --etcd-servers');
  await requireForInstances(needs);
  await requirePort(needs.listen);
  if (etcdServers !== undefined) await requireEtcd(etcdServers);
  await requireEngineOf(needs);
}

/** The same for a machine that only lends. */
export async function checkProviderMachine(needs: ProviderNeeds): Promise<void> {
  requireRights(needs);
  await requireForInstances(needs);
  await requireEngineOf(needs);
}

function requireRights({ engineSocket }: ProviderNeeds): void {
  if (engineSocket !== undefined || process.getuid?.() === 0) return;
  const remedy = 'Run it with sudo, or use an engine that you may use: --engine unix:///run/user/1000/docker.sock';
  throw new UserError('NOT_ROOT', "the pool's own container engine needs root", remedy);
}

async function requireForInstances({ home, engineSocket }: ProviderNeeds): Promise<void> {
  if (engineSocket === undefined) {
    requirePrograms('DOCKER_MISSING', enginePrograms, 'or use an engine that runs: --engine unix:///var/run/docker.sock');
  }
  await requireRoom(home, neededBytes);
}

async function requireEngineOf({ engineSocket }: ProviderNeeds): Promise<void> {
  if (engineSocket !== undefined) await requireEngine(engineSocket);
}

function requirePrograms(error: ErrorName, programs: readonly (readonly [string, string])[], otherwise: string): void {
  const missing = programs.filter(([program]) => !isOnPath(program));
  if (missing.length === 0) return;
  const names = missing.map(([program]) => program).join(', ');
  const packages = missing.map(([, name]) => name).join(' ');
  throw new UserError(
    error,
    `not found: ${names}`,
    `Install with apt-get install --no-install-recommends ${packages} (npm start does it), ${otherwise}`,
  );
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Throws `DISK_FULL` when the file system of `directory`, which is made, has less than `bytes` free. */
export async function requireRoom(directory: string, bytes: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes) return;
  const megabytes = (value: number): string => `${Math.round(value / 1e6)} MB`;
  throw new UserError(
    'DISK_FULL',
    `${directory} has ${megabytes(free)} free and a pool needs ${megabytes(bytes)}`,
    'Make room, or choose another place with --home',
  );
}

/** Throws when nobody listens at any of the addresses. Whether it is an etcd, and lets us in, the server finds out. */
async function requireEtcd(servers: readonly string[]): Promise<void> {
  const attempts = servers.map(async (url) => {
    const { hostname, port, protocol } = new URL(url);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)) });
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(connectTimeoutMs) });
    } finally {
      socket.destroy();
    }
  });
  try {
    await Promise.any(attempts);
  } catch (error) {
    const remedy = 'Start it, give the right addresses with --etcd-servers, or leave that out: the pool then starts its own';
    throw new UserError('ETCD_UNREACHABLE', `etcd at ${servers.join(', ')} does not answer`, remedy, { cause: error });
  }
}

async function requireEngine(socketPath: string): Promise<void> {
  try {
    await createDockerEngine(socketPath).info();
  } catch (error) {
    const remedy = "Start it and check that this user may use it, or leave --engine out to use the pool's own";
    throw new UserError('ENGINE_UNREACHABLE', `the container engine at ${socketPath} does not answer`, remedy, { cause: error });
  }
}

/** Throws `PORT_IN_USE` when nobody could listen there now. */
async function requirePort(listen: HostPort): Promise<void> {
  const server = createServer();
  try {
    server.listen(listen.port, listen.host);
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const at = formatHostPort(listen);
    if (code === 'EADDRINUSE' || code === 'EACCES') {
      const remedy = `Stop what listens there (ss -ltnp 'sport = :${listen.port}' shows it), or choose another port with --listen HOST:PORT`;
      throw new UserError('PORT_IN_USE', code === 'EACCES' ? `${at} may not be used by this user` : `${at} is in use`, remedy, {
        cause: error,
      });
    }
    throw new UserError(
      'BAD_ARGUMENT',
      `nobody can listen on ${at}: ${(error as Error).message}`,
      'Give an address of this machine with --listen',
      {
        cause: error,
      },
    );
  } finally {
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
  }
}

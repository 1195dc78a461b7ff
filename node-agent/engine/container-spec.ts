/**
 * What the engine is asked to create. Built member by member from an allow-list, never copied from an object of the API: whoever can write
 * an instance cannot ask for privileges, host paths, devices or namespaces, because nothing here reads such a thing. Pure.
 */
import type { ContainerLimits, ContainerSpec } from './engine.ts';

/** Docker's `POST /containers/create` body, as far as we use it. */
export interface DockerCreateBody {
  name: string;
  Image: string;
  Entrypoint?: string[];
  Cmd?: string[];
  Env: string[];
  WorkingDir?: string;
  Hostname: string;
  Labels: Record<string, string>;
  HostConfig: DockerHostConfig;
}

export interface DockerLimits {
  CpuPeriod: number;
  CpuQuota: number;
  CpuShares: number;
  CpusetCpus: string;
  Memory: number;
  MemoryReservation: number;
  MemorySwap: number;
  PidsLimit: number;
}

export interface DockerHostConfig extends DockerLimits {
  CapDrop: string[];
  CapAdd: string[];
  SecurityOpt: string[];
  Privileged: false;
  IpcMode: 'private';
  CgroupnsMode: 'private';
  NetworkMode: 'bridge';
  Runtime?: 'runsc';
  RestartPolicy: { Name: 'no' };
  Ulimits: { Name: string; Soft: number; Hard: number }[];
  LogConfig: { Type: string; Config: Record<string, string> };
  ShmSize: number;
  Init: true;
  OomScoreAdj: number;
  StorageOpt?: { size: string };
  DeviceRequests?: { Driver: 'nvidia'; DeviceIDs: string[]; Capabilities: string[][] }[];
}

/**
 * What a root process in an ordinary image needs (package managers, `sudo`, OpenSSH's server on a terminal), and nothing that reaches
 * the kernel, the network's configuration, raw sockets or devices.
 */
const capabilities = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'SETUID',
  'SETGID',
  'KILL',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'AUDIT_WRITE',
];

/** The kernel's own default, in microseconds; Kubernetes' too. The least quota is 1,000. */
const cpuPeriodMicros = 100_000;
const shmBytes = 64 * 1024 * 1024;

export function dockerCreateBody(spec: ContainerSpec): DockerCreateBody {
  return {
    name: spec.name,
    Image: spec.image,
    ...entrypoint(spec),
    Env: spec.env.map(({ name, value }) => `${name}=${value}`),
    ...(spec.workingDir === undefined ? {} : { WorkingDir: spec.workingDir }),
    Hostname: engineHostname(spec.hostname),
    Labels: { ...spec.labels },
    HostConfig: hostConfig(spec),
  };
}

/** As Kubernetes maps `command` and `args`: with a command, the image's own arguments do not count. */
function entrypoint(spec: ContainerSpec): { Entrypoint?: string[]; Cmd?: string[] } {
  const { command, args } = spec;
  if (command !== undefined && command.length > 0) return { Entrypoint: [...command], Cmd: [...(args ?? [])] };
  return args === undefined || args.length === 0 ? {} : { Cmd: [...args] };
}

/** The kernel holds 64 bytes. */
function engineHostname(hostname: string): string {
  return hostname.slice(0, 63).replace(/[^a-zA-Z0-9]+$/, '');
}

function hostConfig(spec: ContainerSpec): DockerHostConfig {
  return {
    CapDrop: ['ALL'],
    CapAdd: [...capabilities],
    SecurityOpt: ['no-new-privileges'],
    Privileged: false,
    IpcMode: 'private',
    // On cgroup v1 engines show the host's tree by default.
    CgroupnsMode: 'private',
    NetworkMode: 'bridge',
    // The agent restarts, so that backoff and counts are the same on every engine.
    RestartPolicy: { Name: 'no' },
    Ulimits: [
      { Name: 'nofile', Soft: 4096, Hard: 4096 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    LogConfig: { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } },
    ShmSize: shmBytes,
    Init: true,
    // Where the whole machine is short of memory, instances go before the owner's programs.
    OomScoreAdj: 500,
    ...(spec.runtime === undefined ? {} : { Runtime: spec.runtime }),
    ...(spec.gpus === undefined || spec.gpus.length === 0 ? {} : { DeviceRequests: [deviceRequest(spec.gpus)] }),
    ...(spec.diskBytes === undefined ? {} : { StorageOpt: { size: String(spec.diskBytes) } }),
    ...dockerLimits(spec.limits),
  };
}

/** As `docker run --gpus device=…` asks for it: by ids, so that no two containers get the same. */
function deviceRequest(ids: readonly string[]): NonNullable<DockerHostConfig['DeviceRequests']>[number] {
  return { Driver: 'nvidia', DeviceIDs: [...ids], Capabilities: [['gpu']] };
}

/** Also the body of a live update. */
export function dockerLimits(limits: ContainerLimits): DockerLimits {
  return {
    CpuPeriod: cpuPeriodMicros,
    CpuQuota: (limits.cpuMillis * cpuPeriodMicros) / 1000,
    CpuShares: limits.cpuShares,
    CpusetCpus: limits.cpuset,
    Memory: limits.memoryBytes,
    // The same as Memory: no swap.
    MemorySwap: limits.memoryBytes,
    MemoryReservation: limits.memoryReservationBytes,
    PidsLimit: limits.pids,
  };
}

/** Reads limits back; what an engine did not set is 0 or empty. */
export function limitsFromDocker(host: Partial<Record<keyof DockerLimits, number | string | null>>): ContainerLimits {
  const number = (value: number | string | null | undefined): number => (typeof value === 'number' ? value : 0);
  const period = number(host.CpuPeriod) === 0 ? cpuPeriodMicros : number(host.CpuPeriod);
  return {
    cpuMillis: Math.round((number(host.CpuQuota) * 1000) / period),
    cpuShares: number(host.CpuShares),
    cpuset: typeof host.CpusetCpus === 'string' ? host.CpusetCpus : '',
    memoryBytes: number(host.Memory),
    memoryReservationBytes: number(host.MemoryReservation),
    pids: number(host.PidsLimit),
  };
}

/** Tries each limit in a short-lived container, made as those of instances are, so that what bites here bites there. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerSpec, Engine, EngineInfo, ObservedContainer } from '../../engine/engine.ts';
import { engineErrorKind } from '../../engine/engine.ts';
import { cgroupOf, openCounters } from '../../usage/container-counters.ts';
import { v1Files } from '../../usage/cgroup-files.ts';
import { v1Limits, v2Limits } from '../cgroup-limits.ts';
import type { CgroupLimits } from '../cgroup-limits.ts';
import {
  judgeCpu,
  judgeDisk,
  judgeMemory,
  judgePids,
  judgeSandbox,
  judgeShaping,
  judgeWalls,
  probeAttempts,
  probeLimits,
} from './judge-probes.ts';
import type { Findings, ProbeEnd, SandboxTrial } from './judge-probes.ts';
import { packShell, probeImage } from './probe-image.ts';
import { probeNetwork } from './probe-network.ts';
import type { NetworkTrials, ProbedNetwork } from './probe-network.ts';
import { reapSandbox } from './sandbox-orphans.ts';

export interface ProbeOptions {
  engine: Engine;
  info: EngineInfo;
  /** Of the pool's own engine. */
  network?: ProbedNetwork;
  signal: AbortSignal;
}

const pollMs = 50;
/** Of one container. A shell that cannot fork tries again for some seconds. */
const longestMs = 30_000;
const cpuWindowMs = 1_500;
const mebibyte = 1024 * 1024;
/** Of what the probes other than for that limit may use. */
const ample = { cpuMillis: 500, cpuShares: 256, cpuset: '', memoryBytes: 64 * mebibyte, memoryReservationBytes: 16 * mebibyte, pids: 64 };

const spin = 'while :; do :; done';
/** A string that doubles until it is as long as the attempt. */
const devour = `x=0123456789abcdef; while [ \${#x} -lt ${probeAttempts.memoryBytes} ]; do x=$x$x; done; exit 0`;
/** Shells inside of shells, each of which waits for the next: so many are there at once. */
const nest = `i=0; f() { i=$((i+1)); [ $i -ge ${probeAttempts.pids} ] && exit 0; ( f ) || exit 1; }; f; exit $?`;
/** A mebibyte at a time; the shell tells of a failed write. */
const fill = `x=0123456789abcdef; while [ \${#x} -lt ${mebibyte} ]; do x=$x$x; done; i=0
while [ $i -lt ${probeAttempts.diskBytes / mebibyte} ]; do printf %s "$x" >> /full || exit 1; i=$((i+1)); done; exit 0`;
/** Of the lines after the two of titles, one that is not the loopback's. */
const seeNetwork = 'while read name rest; do case $name in lo:*|Inter*|face*) ;; *:*) exit 0 ;; esac; done < /proc/net/dev; exit 1';

/** One after the other, in ten to fifteen seconds. Leaves neither containers nor the image behind, also when it is broken off. */
export async function runProbes(options: ProbeOptions): Promise<Findings> {
  const { engine, info, signal } = options;
  await engine.importImage(probeImage, await packShell());
  try {
    const image = await engine.inspectImage(probeImage);
    const diskBytes = (image?.sizeBytes ?? 0) + probeLimits.diskBytes;
    const { memoryBytes, pids } = probeLimits;
    const probe = (name: string, script: string, parts: Partial<ContainerSpec> = {}): ContainerSpec => specOf(name, script, parts);
    // With room enough all must come up: else what fails below shows nothing.
    const control = await runToEnd(options, probe('control', nest));
    if (control.exitCode !== 0) throw new Error(`this machine's shell does not run in a container (exit code ${control.exitCode})`);
    const cpu = await probeCpu(options);
    const memory = judgeMemory(
      await runToEnd(options, probe('memory', devour, { limits: { ...ample, memoryBytes, memoryReservationBytes: memoryBytes } })),
    );
    const processes = judgePids(await runToEnd(options, probe('pids', nest, { limits: { ...ample, pids } })));
    const disk = info.diskQuota ? await runToEnd(options, probe('disk', fill, { diskBytes })) : undefined;
    const sandbox = judgeSandbox(await trySandbox(options));
    const trials = await tryNetwork(options);
    signal.throwIfAborted();
    return {
      cpu,
      memory,
      disk: judgeDisk(disk, info.storageDriver),
      pids: processes,
      ingress: judgeShaping(trials?.ingress),
      egress: judgeShaping(trials?.egress),
      isolation: judgeWalls(trials?.walls),
      sandbox,
    };
  } finally {
    await removeImage(engine);
  }
}

async function removeImage(engine: Engine): Promise<void> {
  const image = await engine.inspectImage(probeImage).catch(() => undefined);
  if (image !== undefined) await engine.removeImage(image.id).catch(() => undefined);
}

/** Without our labels: the agent's own eyes pass over it. */
function specOf(name: string, script: string, parts: Partial<ContainerSpec>): ContainerSpec {
  return {
    name: `potluck-probe-${name}`,
    image: probeImage,
    command: ['/bin/sh', '-c', script],
    env: [],
    hostname: 'probe',
    labels: {},
    limits: ample,
    ...parts,
  };
}

async function probeCpu(options: ProbeOptions): Promise<Findings['cpu']> {
  const spec = specOf('cpu', spin, { limits: { ...ample, cpuMillis: probeLimits.cpuMillis } });
  return withContainer(options, spec, async ({ id, pid = 0 }) => {
    const counters = openCounters('/', { pid, containerId: id });
    // What the start of the container itself used does not count.
    await delay(200, undefined, { signal: options.signal });
    const before = counters?.read();
    const startedMs = performance.now();
    await delay(cpuWindowMs, undefined, { signal: options.signal });
    const after = counters?.read();
    const elapsedMs = performance.now() - startedMs;
    if (before === undefined || after === undefined) return judgeCpu(Number.NaN, undefined);
    return judgeCpu((after.cpuNanos - before.cpuNanos) / 1_000 / elapsedMs, limitsOf(pid));
  });
}

function limitsOf(pid: number): CgroupLimits | undefined {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(`/${path}`, 'utf8');
    } catch {
      return undefined;
    }
  };
  const group = cgroupOf(read(`proc/${pid}/cgroup`) ?? '');
  if (group === undefined) return undefined;
  return group.files === v1Files ? v1Limits(read, group.path) : v2Limits(read, group.path);
}

async function runToEnd(options: ProbeOptions, spec: ContainerSpec): Promise<ProbeEnd> {
  return withContainer(options, spec, async ({ id }) => {
    const deadline = performance.now() + longestMs;
    for (;;) {
      const container = await options.engine.inspectContainer(id);
      if (container === undefined) throw new Error(`the probe ${spec.name} vanished`);
      if (container.state === 'exited' || container.state === 'dead') return container;
      if (performance.now() > deadline) throw new Error(`the probe ${spec.name} does not end`);
      await delay(pollMs, undefined, { signal: options.signal });
    }
  });
}

async function trySandbox(options: ProbeOptions): Promise<SandboxTrial> {
  if (!options.info.runtimes.includes('runsc')) return { known: false };
  try {
    return { known: true, end: await runToEnd(options, specOf('sandbox', seeNetwork, { runtime: 'runsc' })) };
  } catch (error) {
    if (engineErrorKind(error) === 'unavailable' || options.signal.aborted) throw error;
    return { known: true, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Two containers that do nothing: what goes on in their networks is done by processes of ours. */
async function tryNetwork(options: ProbeOptions): Promise<NetworkTrials | undefined> {
  const { network, signal } = options;
  if (network === undefined) return undefined;
  const bandwidth = probeLimits.bandwidthBitsPerSecond;
  const limits = { ...ample, cpuMillis: 10, ingressBitsPerSecond: bandwidth, egressBitsPerSecond: bandwidth };
  return withContainer(options, specOf('network', spin, { limits }), (container) =>
    withContainer(options, specOf('neighbour', spin, { limits }), (neighbour) =>
      probeNetwork(network, [running(container), running(neighbour)], signal),
    ),
  );
}

function running({ id, pid }: ObservedContainer): { id: string; pid: number } {
  if (pid === undefined) throw new Error('a container of the network probe does not run');
  return { id, pid };
}

async function withContainer<T>(
  { engine }: ProbeOptions,
  spec: ContainerSpec,
  use: (container: ObservedContainer) => Promise<T>,
): Promise<T> {
  // Of a probe that was broken off.
  await engine.removeContainer(spec.name);
  const id = await engine.createContainer(spec);
  try {
    await engine.startContainer(id);
    const container = await engine.inspectContainer(id);
    if (container === undefined) throw new Error(`the probe ${spec.name} vanished`);
    return await use(container);
  } finally {
    await engine.removeContainer(id).catch(() => undefined);
    // A start that fails leaves processes behind, which the engine knows nothing of.
    if (spec.runtime === 'runsc') await reapSandbox('/proc', id);
  }
}

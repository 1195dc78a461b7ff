/**
 * What an agent takes with 0, 10 and 50 instances that idle: resident memory, and CPU over a minute, in which each is measured six times. Then
 * what measuring alone costs, beside the engine's own way of telling the same (`docker stats`: one stream for each container, a sample each
 * second, scaled to our interval). `npm run bench -- agent`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { instances } from '../api/resource-type.ts';
import { openCounters } from '../node-agent/usage/container-counters.ts';
import { instanceManifest } from '../test/support/manifests.ts';
import { startTestPool } from '../test/support/pool.ts';
import type { TestPool } from '../test/support/pool.ts';
import { processUsage } from './process-usage.ts';

type Engine = TestPool['providers'][number]['engine'];

const counts = [0, 10, 50];
const settleMs = 75_000;
const windowMs = 60_000;
const provider = 'desktop';
const small = { requests: { cpu: '10m', memory: '16Mi', disk: '16Mi' } };
/** Ours measures every ten seconds, the engine every second. */
const intervalSeconds = 10;
const rounds = 200;
const streamsMs = 20_000;

export async function agent(): Promise<void> {
  await warmUp();
  const pool = await startTestPool({ providers: [{ name: provider, offer: { cpu: '2', memory: '4Gi', disk: '4Gi' } }] });
  try {
    let made = 0;
    for (const count of counts) {
      for (; made < count; made += 1) await pool.client.create(instances, instanceManifest(`bench-${made}`, small));
      for (let n = 0; n < count; n += 1) await pool.untilPhase(`bench-${n}`, 'Running', 120_000);
      await measureAgent(pool, count);
    }
    await compareSampling(pool);
  } finally {
    await pool.stop();
  }
}

/** As `potluck up` does it: what was compiled once is not compiled, and kept in memory, by each process again. */
async function warmUp(): Promise<void> {
  process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/potluck');
  const child = spawn(process.execPath, [join(import.meta.dirname, '../cli/main.ts'), 'agent', '--help'], { stdio: 'ignore' });
  await once(child, 'exit');
}

async function measureAgent(pool: TestPool, count: number): Promise<void> {
  const pid = pool.pids()[`agent ${provider}`] ?? 0;
  await delay(settleMs);
  const before = await processUsage(pid);
  await delay(windowMs);
  const after = await processUsage(pid);
  const percent = ((after.cpuSeconds - before.cpuSeconds) / (windowMs / 1000)) * 100;
  const figures = `${after.residentMb.toFixed(0)} MB resident (target < 100), ${percent.toFixed(2)} % of a core (target < 1)`;
  console.log(`agent with ${String(count).padStart(2)} instances: ${figures}`);
}

async function compareSampling(pool: TestPool): Promise<void> {
  const [desktop] = pool.providers;
  if (desktop === undefined) throw new Error('the pool has no provider');
  const { engine: docker, home } = desktop;
  const listed = await docker.listContainers();
  const ours = await ourCost(docker, listed);
  const pid = Number(await readFile(join(home, 'engine', 'dockerd.pid'), 'utf8'));
  const streams = await streamCost(docker, listed, pid);
  const n = listed.length;
  console.log(
    `measuring ${n} instances once: ${(ours * 1000).toFixed(2)} ms of CPU, ${((ours / intervalSeconds) * 100).toFixed(3)} % of a core`,
  );
  console.log(`stats streams of ${n} containers: ${(streams * 100).toFixed(2)} % of a core in dockerd alone, at one sample each second`);
  // One second of streams is one sample of each.
  console.log(`ratio of a sample of ours to one of the engine's: ${(ours / streams).toFixed(3)} (target <= 0.2)`);
  console.log(`ratio as both run: ${(ours / intervalSeconds / streams).toFixed(4)}`);
}

/** CPU seconds of one round over all containers. */
async function ourCost(docker: Engine, listed: readonly { Id: string }[]): Promise<number> {
  const pids = await Promise.all(
    listed.map(async ({ Id }) => ({ containerId: Id, pid: (await docker.getContainer(Id).inspect()).State.Pid })),
  );
  const sources = pids.flatMap((each) => openCounters('/', each) ?? []);
  if (sources.length !== listed.length) throw new Error(`${sources.length} of ${listed.length} containers can be measured`);
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) for (const source of sources) source.read();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / rounds;
}

/** CPU seconds that dockerd takes in a second while every container's stats are streamed. */
async function streamCost(docker: Engine, listed: readonly { Id: string }[], dockerdPid: number): Promise<number> {
  const idle = await costOf(dockerdPid);
  const streams = await Promise.all(listed.map(({ Id }) => docker.getContainer(Id).stats({ stream: true })));
  for (const stream of streams) stream.resume();
  await delay(3_000);
  const busy = await costOf(dockerdPid);
  for (const stream of streams) (stream as unknown as { destroy(): void }).destroy();
  return busy - idle;
}

async function costOf(pid: number): Promise<number> {
  const before = await processUsage(pid);
  await delay(streamsMs);
  return ((await processUsage(pid)).cpuSeconds - before.cpuSeconds) / (streamsMs / 1000);
}

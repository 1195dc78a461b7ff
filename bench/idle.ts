/**
 * What a pool costs when nothing happens: resident memory and CPU of each process over 20 seconds, first without instances, then with 10
 * running. `npm run bench -- idle`
 */
import { setTimeout as delay } from 'node:timers/promises';
import { instances } from '../api/resource-type.ts';
import { instanceManifest } from '../test/support/manifests.ts';
import { startTestPool } from '../test/support/pool.ts';
import { processUsage } from './process-usage.ts';
import type { ProcessUsage } from './process-usage.ts';

const windowMs = 20_000;

export async function idle(): Promise<void> {
  const pool = await startTestPool({ providers: [{ name: 'desktop', region: 'eu-west' }] });
  try {
    const processes = pool.pids();
    await measure('idle, no instances', processes);
    for (let n = 0; n < 10; n += 1) await pool.client.create(instances, instanceManifest(`idle-${n}`));
    for (let n = 0; n < 10; n += 1) await pool.untilPhase(`idle-${n}`, 'Running');
    await measure('10 instances running', processes);
  } finally {
    await pool.stop();
  }
}

async function measure(title: string, processes: Readonly<Record<string, number>>): Promise<void> {
  await delay(5_000);
  const before = await readAll(processes);
  await delay(windowMs);
  const after = await readAll(processes);
  console.log(`${title}:`);
  for (const [name, usage] of Object.entries(after)) {
    const cpu = ((usage.cpuSeconds - (before[name]?.cpuSeconds ?? 0)) / (windowMs / 1000)) * 100;
    console.log(`  ${name.padEnd(12)} ${usage.residentMb.toFixed(0).padStart(5)} MB   ${cpu.toFixed(2).padStart(6)} % of a core`);
  }
}

async function readAll(processes: Readonly<Record<string, number>>): Promise<Record<string, ProcessUsage>> {
  return Object.fromEntries(
    await Promise.all(Object.entries(processes).map(async ([name, pid]) => [name, await processUsage(pid)] as const)),
  );
}

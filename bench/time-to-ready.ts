/**
 * Time from `potluck up` to a ready pool with its example running: first start on an empty home (images seeded from a cache if there is
 * one), then the second. `npm run bench -- time-to-ready`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const potluck = join(import.meta.dirname, '../bin/potluck');
const startTimeoutMs = 600_000;

export async function timeToReady(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-bench-'));
  try {
    console.log(`first start:  ${(await timeStart(home)).toFixed(1)} s`);
    console.log(`second start: ${(await timeStart(home)).toFixed(1)} s (target < 10 s)`);
  } finally {
    const purge = spawn(potluck, ['down', '--purge', '--home', home], { stdio: 'ignore' });
    await once(purge, 'exit');
    await rm(home, { recursive: true, force: true });
  }
}

async function timeStart(home: string): Promise<number> {
  const startedMs = performance.now();
  const up = spawn(potluck, ['up', '--home', home, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await untilReady(up);
    return (performance.now() - startedMs) / 1000;
  } finally {
    up.kill('SIGTERM');
    if (up.exitCode === null) await once(up, 'exit');
  }
}

/** The summary names the kubeconfig when everything runs. */
async function untilReady(up: ChildProcess): Promise<void> {
  if (up.stdout === null) throw new Error('no output to read');
  const timer = setTimeout(() => up.kill('SIGTERM'), startTimeoutMs);
  try {
    for await (const line of createInterface({ input: up.stdout })) {
      if (line.includes('export KUBECONFIG=')) return;
    }
    throw new Error('potluck up ended before the pool was ready');
  } finally {
    clearTimeout(timer);
    up.stdout.resume();
  }
}

/**
 * What walls and bandwidth limits add to the start of a container: the pool's engine with and without its start guard, in turns.
 * `npm run bench -- start-latency`
 */
import { guardedRuntime } from '../node-agent/engine/start-guard.ts';
import { testImage } from '../test/support/image.ts';
import { makePoolMachine } from '../test/support/pool-machine.ts';
import type { PoolMachine } from '../test/support/pool-machine.ts';
import { percentile } from './percentile.ts';

const rounds = 20;

export async function startLatency(): Promise<void> {
  const machine = await makePoolMachine();
  try {
    const [bare, guarded]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await timeStart(machine, 'runc'));
      guarded.push(await timeStart(machine, guardedRuntime));
    }
    const added = (share: number): string => (percentile(guarded, share) - percentile(bare, share)).toFixed(0);
    console.log(
      `start of a container, ${rounds} of each: p50 ${percentile(bare, 0.5).toFixed(0)} ms bare, ${percentile(guarded, 0.5).toFixed(0)} ms walled`,
    );
    console.log(`added by walls and bandwidth limits: p50 ${added(0.5)} ms, p95 ${added(0.95)} ms (target < 150 ms)`);
  } finally {
    await machine.remove();
  }
}

async function timeStart({ docker }: PoolMachine, runtime: string): Promise<number> {
  const container = await docker.createContainer({ Image: testImage, Cmd: ['sleep', '100000'], HostConfig: { Runtime: runtime } });
  const startedMs = performance.now();
  await container.start();
  const elapsedMs = performance.now() - startedMs;
  await container.remove({ force: true });
  return elapsedMs;
}

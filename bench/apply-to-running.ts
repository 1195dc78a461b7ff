/**
 * Time from `create` to phase Running with the image present, 50 instances one at a time, beside a bare create and start through the
 * engine's own API in the same run. Prints p50, p95 and the ratio. `npm run bench -- apply-to-running`
 */
import { instances } from '../api/resource-type.ts';
import { instanceManifest } from '../test/support/manifests.ts';
import { startTestPool } from '../test/support/pool.ts';
import { percentile } from './percentile.ts';

const rounds = 50;

export async function applyToRunning(): Promise<void> {
  const pool = await startTestPool({ providers: [{ name: 'desktop', region: 'eu-west' }] });
  try {
    const bare: number[] = [];
    const whole: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await pool.timeBareStart('desktop'));
      const name = `bench-${round}`;
      const startedMs = performance.now();
      const running = pool.watchUntil(name, (instance) => instance.status?.phase === 'Running', 30_000);
      await pool.client.create(instances, instanceManifest(name));
      await running;
      whole.push(performance.now() - startedMs);
      await pool.client.delete(instances, { namespace: 'default', name });
      await pool.untilGone(name);
    }
    const [p50, p95] = [percentile(whole, 0.5), percentile(whole, 0.95)];
    console.log(`apply to Running, ${rounds} one at a time: p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms (target p95 < 2000 ms)`);
    console.log(
      `bare create and start by the engine's API: p50 ${percentile(bare, 0.5).toFixed(0)} ms, p95 ${percentile(bare, 0.95).toFixed(0)} ms`,
    );
    console.log(`ratio at p50: ${(p50 / percentile(bare, 0.5)).toFixed(2)} (target <= 1.5)`);
  } finally {
    await pool.stop();
  }
}

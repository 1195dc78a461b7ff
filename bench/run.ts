/** `npm run bench [-- NAME…]`: runs the benchmarks named, or all, and prints their figures. */
import { agent } from './agent.ts';
import { applyToRunning } from './apply-to-running.ts';
import { idle } from './idle.ts';
import { startLatency } from './start-latency.ts';
import { timeToReady } from './time-to-ready.ts';

const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  agent,
  'apply-to-running': applyToRunning,
  idle,
  'start-latency': startLatency,
  'time-to-ready': timeToReady,
};

const asked = process.argv.slice(2);
for (const name of asked.length === 0 ? Object.keys(benchmarks) : asked) {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) {
    console.error(`there is no benchmark ${name}; there are: ${Object.keys(benchmarks).join(', ')}`);
    process.exitCode = 1;
    break;
  }
  console.log(`\n# ${name}`);
  await benchmark();
}

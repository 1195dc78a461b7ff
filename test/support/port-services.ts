import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const program = join(import.meta.dirname, 'port-services-process.ts');

/** Starts the services of `port-services-process.ts` in a network namespace. Answers what ends them. */
export async function startPortServices(namespace: string): Promise<() => Promise<void>> {
  const child = spawn('nsenter', [`--net=${namespace}`, process.execPath, program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error('the services of the test ended');
    }),
  ]);
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await ended;
  };
}

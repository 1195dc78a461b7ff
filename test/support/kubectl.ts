/** The real kubectl of this machine, with a home of its own so that no cache or configuration of the user is read or written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, dirname } from 'node:path';
import { text } from 'node:stream/consumers';

export interface KubectlResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export async function runKubectl(
  kubeconfig: string,
  args: readonly string[],
  { input = '', timeoutMs = 60_000 }: { input?: string; timeoutMs?: number } = {},
): Promise<KubectlResult> {
  const home = join(dirname(kubeconfig), 'kubectl-home');
  await mkdir(home, { recursive: true });
  const child = spawn('kubectl', [...args], {
    env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(home, 'cache') },
    timeout: timeoutMs,
  });
  // A kubectl that fails early closes its standard input before everything was written.
  child.stdin.on('error', () => undefined).end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

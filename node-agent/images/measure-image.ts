/**
 * Asks for the size of an image in a process of its own, in the engine's network namespace: whoever names an image names a host, and what the
 * owner's machine can reach from its own namespace is nobody's business. Credentials go by standard input.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { searchPath } from '../engine/run-command.ts';
import type { SizeQuestion } from './registry-manifest.ts';

const program = join(import.meta.dirname, 'registry-size-process.ts');
const timeoutMs = 15_000;

/** Bytes as they are transferred; undefined when the registry does not tell. `namespace` is a file for `nsenter`, absent for the machine's own. */
export async function measureImage(
  question: SizeQuestion,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  const own = [process.execPath, program];
  const [command = '', ...args] = namespace === undefined ? own : ['nsenter', `--net=${namespace}`, ...own];
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: searchPath() },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    killSignal: 'SIGKILL',
  });
  const failed = new Promise<undefined>((resolve) => child.once('error', () => resolve(undefined)));
  // It may end before it has read the question.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(question));
  const output = await Promise.race([text(child.stdout).catch(() => undefined), failed]);
  return output === undefined ? undefined : readAnswer(output);
}

function readAnswer(output: string): number | undefined {
  try {
    const { bytes } = JSON.parse(output) as { bytes?: unknown };
    return typeof bytes === 'number' ? bytes : undefined;
  } catch {
    return undefined;
  }
}

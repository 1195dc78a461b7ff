/**
 * Processes of gVisor whose container is gone: when runsc fails to start, `runsc-sandbox` and `runsc-gofer` live on after the engine removed the
 * container. They are known by their bundle, a directory with the container's id in its path.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { killQuietly } from '../../../runtime/survivor.ts';

interface SandboxProcess {
  pid: number;
  containerId: string;
}

/** From a command line, its words ended by NUL; undefined when it is no process of gVisor's with a bundle. */
export function sandboxOf(commandLine: string): string | undefined {
  const words = commandLine.split('\0');
  const program = (words[0] ?? '').split('/').at(-1) ?? '';
  if (!program.startsWith('runsc')) return undefined;
  const bundle = words.flatMap((word, index) => {
    if (word.startsWith('--bundle=')) return word.slice('--bundle='.length);
    return word === '--bundle' ? (words[index + 1] ?? '') : [];
  })[0];
  return bundle === undefined ? undefined : /\/([0-9a-f]{64})(?:\/|$)/.exec(bundle)?.[1];
}

/** `root` is `/proc`, or a recorded tree. */
async function findSandboxes(root: string): Promise<SandboxProcess[]> {
  const pids = (await readdir(root)).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const containerId = sandboxOf(await readFile(join(root, pid, 'cmdline'), 'utf8').catch(() => ''));
      return containerId === undefined ? [] : [{ pid: Number(pid), containerId }];
    }),
  );
  return found.flat();
}

/**
 * Ends what is left of one container that is gone or does not run. Only of that: other engines on this machine have sandboxes too. Answers how
 * many processes it were.
 */
export async function reapSandbox(
  root: string,
  containerId: string,
  kill = (pid: number): void => killQuietly(pid, 'SIGKILL'),
): Promise<number> {
  const left = (await findSandboxes(root)).filter((each) => each.containerId === containerId);
  for (const { pid } of left) kill(pid);
  return left.length;
}

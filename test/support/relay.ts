import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const program = join(import.meta.dirname, 'relay-process.ts');

export interface Relay {
  stop(): Promise<void>;
}

/** Lets who connects to `listen` (HOST:PORT) in a network namespace reach `target` (HOST:PORT) in ours, through a socket in `directory`. */
export async function startRelay(options: { namespace: string; listen: string; target: string; directory: string }): Promise<Relay> {
  const { namespace, listen, target, directory } = options;
  const path = join(directory, 'relay.sock');
  const outer = await start(process.execPath, [program, path, target]);
  const inner = await start('nsenter', [`--net=${namespace}`, process.execPath, program, listen, path]);
  return {
    stop: async () => {
      for (const child of [inner, outer]) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
    },
  };
}

async function start(command: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${command} ${args.join(' ')} ended`))),
  ]);
  return child;
}

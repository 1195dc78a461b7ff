/** Runs the pool's engine from inside a network namespace: reads a command from each line of standard input, answers one line of JSON. */
import { createInterface } from 'node:readline';
import { purgePoolEngine, startPoolEngine } from '../../node-agent/engine/pool-engine.ts';
import type { PoolEngine } from '../../node-agent/engine/pool-engine.ts';
import { createLogger } from '../../runtime/logger.ts';

const [home = '', logFile = ''] = process.argv.slice(2);
const logger = createLogger({ component: 'pool-engine', level: 'debug', format: 'text', file: logFile });
let engine: PoolEngine | undefined;

async function run(command: string): Promise<unknown> {
  switch (command) {
    case 'start':
      engine = await startPoolEngine({ home, logger, diskBytes: 1024 ** 3, upkeepMs: 1_000 });
      return engine.socketPath;
    case 'detach':
      return engine?.detach();
    case 'stop':
      return engine?.stop();
    case 'purge':
      await engine?.detach();
      return purgePoolEngine(home, logger);
    default:
      throw new Error(`no such command: ${command}`);
  }
}

for await (const command of createInterface({ input: process.stdin })) {
  const answer = await run(command).then(
    (value) => ({ value: value ?? null }),
    (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

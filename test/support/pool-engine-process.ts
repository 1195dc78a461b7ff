/** Runs the pool's engine from inside a network namespace: reads a command from each line of standard input, answers one line of JSON. */
import { createInterface } from 'node:readline';
import { purgePoolEngine, startPoolEngine } from '../../node-agent/engine/pool-engine.ts';
import type { Bandwidth } from '../../node-agent/limits/bandwidth/bandwidth-limits.ts';
import type { PoolEngine } from '../../node-agent/engine/pool-engine.ts';
import { createLogger } from '../../runtime/logger.ts';

const [home = '', logFile = '', upkeepMs = '1000'] = process.argv.slice(2);
const logger = createLogger({ component: 'pool-engine', level: 'debug', format: 'text', file: logFile });
let engine: PoolEngine | undefined;

async function run(line: string): Promise<unknown> {
  const [command = '', ...words] = line.split(' ');
  switch (command) {
    case 'start':
      engine = await startPoolEngine({ home, logger, diskBytes: 1024 ** 3, upkeepMs: Number(upkeepMs) });
      return engine.socketPath;
    case 'offer':
      return engine?.bandwidth.setOffer(JSON.parse(words[0] ?? '') as Bandwidth);
    case 'apply':
      return engine?.bandwidth.apply(words[0] ?? '', JSON.parse(words[1] ?? '') as Bandwidth);
    case 'walls':
      return engine?.walls.standing === true ? 'standing' : engine?.walls.reason;
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

/** Runs the pool's engine from inside a network namespace: reads a command from each line of standard input, answers one line of JSON. */
import { createInterface } from 'node:readline';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import type { Engine } from '../../node-agent/engine/engine.ts';
import { purgePoolEngine, startPoolEngine } from '../../node-agent/engine/pool-engine.ts';
import { poolPaths } from '../../node-agent/engine/pool-paths.ts';
import { ShapedEngine } from '../../node-agent/engine/shaped-engine.ts';
import type { Bandwidth } from '../../node-agent/limits/bandwidth/bandwidth-limits.ts';
import type { PoolEngine } from '../../node-agent/engine/pool-engine.ts';
import { runProbes } from '../../node-agent/limits/probes/run-probes.ts';
import { createLogger } from '../../runtime/logger.ts';

const [home = '', logFile = '', nameServer] = process.argv.slice(2);
const logger = createLogger({ component: 'pool-engine', level: 'debug', format: 'text', file: logFile });
let engine: PoolEngine | undefined;

const commands: Readonly<Record<string, (...words: string[]) => unknown>> = {
  start: async () => {
    const options = { home, logger, diskBytes: 1024 ** 3, upkeepMs: 1_000 };
    engine = await startPoolEngine({ ...options, ...(nameServer === undefined ? {} : { nameServer }) });
    return engine.socketPath;
  },
  offer: (bandwidth = '') => engine?.bandwidth.setOffer(JSON.parse(bandwidth) as Bandwidth),
  apply: (id = '', bandwidth = '') => engine?.bandwidth.apply(id, JSON.parse(bandwidth) as Bandwidth),
  /** With the engine as instances have it, or without its limits of bandwidth. */
  probe: async (which = 'shaped') => {
    if (engine === undefined) throw new Error('not started');
    const { bandwidth, socketPath } = engine;
    const bare: Engine = createDockerEngine(socketPath);
    const network = { namespace: poolPaths(home).namespace, bandwidth };
    const tried = which === 'shaped' ? new ShapedEngine(bare, bandwidth) : bare;
    return runProbes({ engine: tried, info: await tried.info(), network, signal: new AbortController().signal });
  },
  walls: () => (engine?.walls.standing === true ? 'standing' : engine?.walls.reason),
  detach: () => engine?.detach(),
  stop: () => engine?.stop(),
  purge: async () => {
    await engine?.detach();
    return purgePoolEngine(home, logger);
  },
};

async function run(line: string): Promise<unknown> {
  await Promise.resolve();
  const [name = '', ...words] = line.split(' ');
  const command = commands[name];
  if (command === undefined) throw new Error(`no such command: ${name}`);
  return command(...words);
}

for await (const command of createInterface({ input: process.stdin })) {
  const answer = await run(command).then(
    (value) => ({ value: value ?? null }),
    (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

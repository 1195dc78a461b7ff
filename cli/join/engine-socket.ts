import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import { parseEngine } from '../engine-flag.ts';
import type { PoolPaths } from '../up/pool-paths.ts';

/** Where the engine that an enrolment names listens. */
export function engineSocketOf(paths: PoolPaths, { engine }: Pick<Enrolment, 'engine'>): string {
  const parsed = parseEngine(engine);
  return parsed === 'pool' ? paths.engineSocket : parsed.socketPath;
}

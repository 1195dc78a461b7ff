import { UserError } from '../api/errors.ts';
import type { StringFlag } from './command-line/command.ts';

export const engineFlag = {
  type: 'string',
  value: 'ENGINE',
  default: 'pool',
  description: "the container engine: pool, the pool's own, or unix:///PATH, one that runs",
} as const satisfies StringFlag;

/** Answers `pool`, or the path of the socket of an engine that somebody else runs. */
export function parseEngine(text: string): 'pool' | { socketPath: string } {
  if (text === 'pool') return 'pool';
  const socketPath = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (socketPath !== undefined) return { socketPath };
  throw new UserError(
    'BAD_ARGUMENT',
    `--engine ${JSON.stringify(text)} is no engine`,
    'It is pool, or for example unix:///var/run/docker.sock',
  );
}

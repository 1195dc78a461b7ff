import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { StringFlag } from './command.ts';

/** The flag that every command has which touches the state of a pool. */
export const homeFlag = {
  type: 'string',
  value: 'DIR',
  description: 'where the pool keeps its state; default $POTLUCK_HOME, or /var/lib/potluck for root, or ~/.potluck',
} as const satisfies StringFlag;

/** Absolute. */
export function resolveHome(flag: string | undefined): string {
  const own = process.getuid?.() === 0 ? '/var/lib/potluck' : join(homedir(), '.potluck');
  const fromEnvironment = process.env['POTLUCK_HOME'];
  return resolve(flag ?? (fromEnvironment === undefined || fromEnvironment === '' ? own : fromEnvironment));
}

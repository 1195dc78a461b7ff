import { UserError } from '../api/errors.ts';
import { parseNetwork } from '../node-agent/engine/pool-subnet.ts';
import type { StringFlag } from './command-line/command.ts';

export const nameServerFlag = {
  type: 'string',
  value: 'ADDRESS',
  description: "IPv4 address of the name server that instances ask; default the machine's own",
} as const satisfies StringFlag;

/** For an agent's options; empty when nothing was given. */
export function parseNameServer(text: string | undefined): { nameServer?: string } {
  if (text === undefined) return {};
  if (parseNetwork(text)?.prefix === 32 && !text.includes('/') && !/^(0|127)\./.test(text)) return { nameServer: text };
  const what = `--name-server ${JSON.stringify(text)} is no address that instances can reach`;
  throw new UserError('BAD_ARGUMENT', what, 'Give one IPv4 address, not on loopback, for example 9.9.9.9');
}

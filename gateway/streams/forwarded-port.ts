/** One connection to a port of an instance: between what a client speaks and the tunnel, each way at the pace of who reads. */
import type { Duplex } from 'node:stream';
import { splice } from '../../runtime/splice.ts';

/** Opens a connection to that port. Rejects with an error whose message can be shown. */
export type OpenPort = (port: number) => Promise<Duplex>;

/** Resolves when both ways have ended. Rejects when either broke; then neither is open any more. */
export async function joinStreams(client: Duplex, tunnel: Duplex): Promise<void> {
  const { error } = await splice(client, tunnel);
  if (error !== undefined) throw error;
}

/** Undefined for what is no port. */
export function parsePort(text: string | undefined): number | undefined {
  const port = Number(text);
  return text !== undefined && /^\d{1,5}$/u.test(text) && port > 0 && port < 65_536 ? port : undefined;
}

/** Which name server instances ask. They see the gateway's address only; what is asked there goes on to this one. */
import { readFile } from 'node:fs/promises';
import { parseNetwork } from '../pool-subnet.ts';

/**
 * The machine's own, in order of trust; the second is what systemd-resolved asks, which itself listens on loopback, where the pool's network
 * does not lead.
 */
const resolverFiles = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];
/** Quad9: for a machine whose only name server listens on loopback or speaks IPv6 only. */
const publicNameServer = '9.9.9.9';

/** An IPv4 address. The machine's first name server, read anew each time: a laptop changes networks. */
export async function findNameServer(files: readonly string[] = resolverFiles): Promise<string> {
  for (const file of files) {
    const found = nameServerOf(await readFile(file, 'utf8').catch(() => ''));
    if (found !== undefined) return found;
  }
  return publicNameServer;
}

/** The first one of a resolver's file that is IPv4 and not on loopback. */
export function nameServerOf(text: string): string | undefined {
  const addresses = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? '');
  return addresses.find((address) => parseNetwork(address)?.prefix === 32 && !/^(127|0)\./.test(address));
}

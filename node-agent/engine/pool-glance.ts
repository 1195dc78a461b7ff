/**
 * A glance at everything that upkeep looks after, in two processes instead of dozens. What reads as it did when a whole upkeep found nothing
 * to mend needs none now.
 */
import type { PoolPaths } from './pool-paths.ts';
import { runCommand } from './run-command.ts';

/** `$1` table, `$2` interface. A program that fails says the same each time. */
const outside = `exec 2>&1
nft --json --stateless list table inet "$1"
ip -4 -oneline address; ip -4 route; ip -oneline link show "$2"; cat /proc/sys/net/ipv4/ip_forward
cat /etc/resolv.conf /run/systemd/resolve/resolv.conf
iptables-save | sed '/^#/d; s/\\[[0-9:]*\\]//'
true`;
/** What comes and goes by itself in the sets of the inet table is left out; ports of the bridge are not. */
const inside = `exec 2>&1
nft --json --stateless --terse list table inet "$1"; nft --json --stateless list table bridge "$1"
ip -oneline link; tc qdisc show; tc class show dev docker0; tc class show dev eth0; tc filter show dev docker0; tc filter show dev eth0
cmp "$2/subuid" /etc/subuid; cmp "$2/subuid" /etc/subgid; cmp "$2/resolv.conf" /etc/resolv.conf
true`;

/** Equal texts for equal states. */
export async function glanceAt(paths: PoolPaths, hasMounts: boolean): Promise<string> {
  const { nftTable, hostInterface, namespace, mountNamespace, directory } = paths;
  const enter = [`--net=${namespace}`, ...(hasMounts ? [`--mount=${mountNamespace}`] : [])];
  const texts = await Promise.all([
    runCommand('sh', ['-c', outside, 'sh', nftTable, hostInterface]),
    runCommand('nsenter', [...enter, 'sh', '-c', inside, 'sh', nftTable, directory]),
  ]);
  return texts.join('\n');
}

/** Remembers the glance that came before and after an upkeep that changed nothing. */
export class KnownGood {
  #text: string | undefined;

  /**
   * Calls `mend` unless everything is as when it was last found whole. `mend` answers whether it had nothing to do. `look` may reject: then
   * nothing is known. Rejects as `mend` does.
   */
  async keep({ look, mend }: { look: () => Promise<string>; mend: () => Promise<boolean> }): Promise<void> {
    const before = await look().catch(() => undefined);
    if (before !== undefined && before === this.#text) return;
    this.#text = undefined;
    const wasWhole = await mend();
    const after = await look().catch(() => undefined);
    // What changed meanwhile may be for the worse, and what was broken twice reads the same twice.
    if (wasWhole && after === before) this.#text = after;
  }
}

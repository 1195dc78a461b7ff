/** One nft table, held to its content: what somebody changed in it is found and put back. */
import { runCommand } from '../run-command.ts';

export interface NftTableOptions {
  family: 'inet' | 'bridge';
  name: string;
  /** A file for `nsenter --net=`; the network that we are in when absent. */
  namespace?: string;
  /** Sets whose elements come and go by themselves. */
  livingSets: readonly string[];
}

type NftObject = Record<string, Record<string, unknown>>;

export class NftTable {
  readonly #options: NftTableOptions;
  /** What was last loaded, and how the kernel lists it. */
  #loaded: { rules: string; listing: string } | undefined;

  constructor(options: NftTableOptions) {
    this.#options = options;
  }

  /**
   * Loads `rules`, and in the same transaction `contents`, the elements of its living sets, where the table is not what came of loading them last. The first call always loads: who knows what an earlier agent left. Answers whether there was nothing to do.
   * @throws {CommandError} when they cannot be loaded or read back.
   */
  async assert(rules: string, contents = ''): Promise<boolean> {
    if (this.#loaded?.rules === rules && (await this.#list()) === this.#loaded.listing) return true;
    this.#loaded = undefined;
    await this.#nft(['-f', '-'], rules + contents);
    const listing = await this.#list();
    if (listing === undefined) throw new Error(`nft took the rules of table ${this.#options.name}, but the kernel does not have them`);
    this.#loaded = { rules, listing };
    return false;
  }

  /** Adds to living sets. */
  async fill(contents: string): Promise<void> {
    if (contents !== '') await this.#nft(['-f', '-'], contents);
  }

  /** Without what changes by itself; undefined when there is no such table. */
  async #list(): Promise<string | undefined> {
    const { family, name, livingSets } = this.#options;
    const text = await this.#nft(['-j', '--stateless', 'list', 'table', family, name]).catch(() => undefined);
    return text === undefined ? undefined : normalise(text, livingSets);
  }

  async #nft(args: readonly string[], input?: string): Promise<string> {
    const { namespace } = this.#options;
    if (namespace === undefined) return runCommand('nft', args, input);
    return runCommand('nsenter', [`--net=${namespace}`, 'nft', ...args], input);
  }
}

/** What `nft -j list table` says, less handles and the elements of living sets. */
export function normalise(text: string, livingSets: readonly string[]): string {
  const { nftables } = JSON.parse(text) as { nftables: NftObject[] };
  const kept = nftables.filter((object) => !('metainfo' in object));
  for (const { set } of kept) if (set !== undefined && livingSets.includes(String(set['name']))) delete set['elem'];
  return JSON.stringify(kept, (key, value: unknown) => (key === 'handle' ? undefined : value));
}

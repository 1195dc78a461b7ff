/** Keeps the walls around instances standing: asserts the rules with what the machine's network is now. */
import { readFile, writeFile } from 'node:fs/promises';
import type { PoolPaths } from '../pool-paths.ts';
import { bridgeOf } from '../pool-subnet.ts';
import type { PoolSubnets } from '../pool-subnet.ts';
import { runCommand } from '../run-command.ts';
import { closedNetworks } from './closed-networks.ts';
import type { MachineAddress, MachineRoute } from './closed-networks.ts';
import { findNameServer } from './name-server.ts';
import { NftTable } from './nft-table.ts';
import { portElement, readPorts } from './ports.ts';
import { bridgeTable, dynamicSets, hostTable, openPorts, poolTable, portSet } from './wall-rules.ts';
import type { WallFacts } from './wall-rules.ts';

export interface WallsOptions {
  paths: PoolPaths;
  subnets: PoolSubnets;
  marks: readonly string[];
  /** Asked instead of the machine's own name server: IPv4. */
  nameServer?: string;
}

export class Walls {
  readonly #options: WallsOptions;
  readonly #host: NftTable;
  readonly #pool: NftTable;
  readonly #bridge: NftTable;

  constructor(options: WallsOptions) {
    this.#options = options;
    const { nftTable: name, namespace } = options.paths;
    this.#host = new NftTable({ family: 'inet', name, livingSets: [] });
    this.#pool = new NftTable({ family: 'inet', name, namespace, livingSets: dynamicSets });
    this.#bridge = new NftTable({ family: 'bridge', name, namespace, livingSets: [portSet] });
  }

  /** The pool's namespace must be there; its interfaces need not. Answers whether they stood already; rejects when one does not stand. */
  async assert(): Promise<boolean> {
    const { paths } = this.#options;
    const facts = await this.#facts();
    await writeIfOther(paths.resolvConf, `nameserver ${facts.nameServer}\n`);
    return (await Promise.all([this.#host.assert(hostTable(facts)), this.#assertInside(facts)])).every(Boolean);
  }

  async #assertInside(facts: WallFacts): Promise<boolean> {
    const { paths } = this.#options;
    const poolStood = await this.#pool.assert(poolTable(facts));
    const ports = (await readPorts(paths.ports, paths.namespace)).map(portElement);
    const open = openPorts(facts, ports);
    const bridgeStood = await this.#bridge.assert(bridgeTable(facts), open);
    await this.#bridge.fill(open);
    return poolStood && bridgeStood;
  }

  async #facts(): Promise<WallFacts> {
    const { paths, subnets, marks } = this.#options;
    const [addresses, routes] = await Promise.all([
      runCommand('ip', ['-json', '-4', 'address']),
      runCommand('ip', ['-json', '-4', 'route']),
    ]);
    const { gateway, network } = bridgeOf(subnets);
    return {
      table: paths.nftTable,
      hostInterface: paths.hostInterface,
      link: subnets.link,
      poolAddress: subnets.poolAddress,
      instances: network,
      gateway,
      closed: closedNetworks(JSON.parse(addresses) as MachineAddress[], JSON.parse(routes) as MachineRoute[]),
      nameServer: this.#options.nameServer ?? (await findNameServer()),
      marks,
    };
  }
}

/** In place: it is mounted over another file. */
async function writeIfOther(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) !== text) await writeFile(file, text);
}

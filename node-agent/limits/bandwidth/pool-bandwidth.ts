/** Bandwidth limits in the pool's network namespace, by `tc`. What is to hold is kept in files, which the start guard reads too. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolPaths } from '../../engine/pool-paths.ts';
import { runCommand, succeeds } from '../../engine/run-command.ts';
import { readPort, readPorts } from '../../engine/walls/ports.ts';
import type { Port } from '../../engine/walls/ports.ts';
import type { Bandwidth, BandwidthLimits, PassedBytes } from './bandwidth-limits.ts';
import { directions, forInstance, makeRoot, sentBytes, shapeAll, shapeInstance, unshapeInstance } from './shape-commands.ts';
import type { Leaf } from './shape-commands.ts';

/** The lines for containers that nobody set limits for; they are within the offer all the same. */
export const defaultShape = 'default';

export type PoolBandwidthPaths = Pick<PoolPaths, 'bandwidth' | 'ports' | 'namespace'>;

export class PoolBandwidth implements BandwidthLimits {
  readonly #paths: PoolBandwidthPaths;
  #offer: Bandwidth = {};
  /** Undefined until the kernel was asked. */
  #leaf: Leaf | undefined;

  constructor(paths: PoolBandwidthPaths) {
    this.#paths = paths;
  }

  /** Makes what is missing, for every container that runs; safe to repeat. The bridge and the way out must be there. Answers whether nothing was. */
  async assert(): Promise<boolean> {
    await mkdir(this.#paths.bandwidth, { recursive: true, mode: 0o700 });
    await mkdir(this.#paths.ports, { recursive: true, mode: 0o700 });
    await this.#write(defaultShape, {});
    const shown = await runCommand('nsenter', this.#inside('tc', 'qdisc', 'show'));
    const bare = directions.filter(({ device }) => !shown.includes(`qdisc htb 1: dev ${device} root `));
    const ports = await readPorts(this.#paths.ports, this.#paths.namespace);
    const lines = await Promise.all(ports.map(async (port) => forInstance(await this.#linesOf(port.containerId), port.address)));
    await this.#tc([...bare.map(makeRoot), this.#shapeAll(), ...lines].join(''));
    return bare.length === 0;
  }

  async setOffer(offer: Bandwidth): Promise<void> {
    // Kept first: where the network is not there yet, `assert` takes it up.
    this.#offer = { ...offer };
    await this.#tc(this.#shapeAll());
  }

  #shapeAll(): string {
    return directions.map((direction) => shapeAll(direction, this.#offer)).join('');
  }

  async apply(containerId: string, bandwidth: Bandwidth): Promise<void> {
    const port = await this.#portOf(containerId);
    const lines = shapeInstance(bandwidth, await this.#findLeaf());
    if (port !== undefined) await this.#tc(forInstance(lines, port.address));
    await this.#write(containerId, bandwidth);
  }

  async applied(containerId: string): Promise<Bandwidth> {
    const text = await readFile(this.#file(containerId), 'utf8').catch(() => '');
    const line = /^# (\{.*\})$/m.exec(text)?.[1];
    return line === undefined ? {} : (JSON.parse(line) as Bandwidth);
  }

  async passed(containerId: string): Promise<PassedBytes> {
    const port = await this.#portOf(containerId);
    if (port === undefined) return { ingressBytes: 0, egressBytes: 0 };
    const [ingressBytes = 0, egressBytes = 0] = await Promise.all(
      directions.map(async ({ device }) => {
        const text = await runCommand('nsenter', this.#inside('tc', '-statistics', 'class', 'show', 'dev', device));
        return sentBytes(text, port.address);
      }),
    );
    return { ingressBytes, egressBytes };
  }

  async forget(containerId: string): Promise<void> {
    const { ports: directory, namespace } = this.#paths;
    const port = await readPort(directory, containerId);
    // A container that never ran has no class.
    if (port !== undefined) {
      const others = (await readPorts(directory, namespace)).filter((other) => other.containerId !== containerId);
      // Its address may be another's by now, and the class with it.
      const isFree = !others.some(({ address }) => address === port.address);
      if (isFree) await this.#tc(forInstance(unshapeInstance(), port.address)).catch(() => undefined);
    }
    await rm(join(this.#paths.ports, containerId), { force: true });
    await rm(this.#file(containerId), { force: true });
  }

  async #portOf(containerId: string): Promise<Port | undefined> {
    const { ports, namespace } = this.#paths;
    if ((await readPort(ports, containerId)) === undefined) return undefined;
    return (await readPorts(ports, namespace)).find((port) => port.containerId === containerId);
  }

  async #linesOf(containerId: string): Promise<string> {
    const read = (name: string): Promise<string> => readFile(this.#file(name), 'utf8');
    const text = await read(containerId).catch(() => read(defaultShape));
    return /^shape="([^"]*)"/m.exec(text)?.[1] ?? '';
  }

  /** As the guard's shell reads it. */
  async #write(name: string, bandwidth: Bandwidth): Promise<void> {
    const file = this.#file(name);
    const text = `# ${JSON.stringify(bandwidth)}\nshape="${shapeInstance(bandwidth, await this.#findLeaf())}"\n`;
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  #file(name: string): string {
    return join(this.#paths.bandwidth, name);
  }

  /** Asked of the kernel once, on a device that carries nothing. */
  async #findLeaf(): Promise<Leaf> {
    if (this.#leaf !== undefined) return this.#leaf;
    const hasFair = await succeeds('nsenter', this.#inside('tc', 'qdisc', 'replace', 'dev', 'lo', 'root', 'fq_codel'));
    if (hasFair) await succeeds('nsenter', this.#inside('tc', 'qdisc', 'del', 'dev', 'lo', 'root'));
    return (this.#leaf = hasFair ? 'fq_codel' : 'bfifo');
  }

  #inside(...command: string[]): string[] {
    return [`--net=${this.#paths.namespace}`, ...command];
  }

  async #tc(lines: string): Promise<void> {
    await runCommand('nsenter', this.#inside('tc', '-batch', '-'), lines);
  }
}

/** Bandwidth limits in the pool's network namespace, by `tc`. What is to hold is kept in files, which the start guard reads too. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolPaths } from '../../engine/pool-paths.ts';
import { runCommand, succeeds } from '../../engine/run-command.ts';
import { readPorts } from '../../engine/walls/ports.ts';
import type { Port } from '../../engine/walls/ports.ts';
import type { Bandwidth, BandwidthLimits } from './bandwidth-limits.ts';
import { directions, forInstance, makeRoot, shapeAll, shapeInstance, unshapeInstance } from './shape-commands.ts';
import type { Direction, Leaf } from './shape-commands.ts';

/** The lines for containers that nobody set limits for; they are within the offer all the same. */
export const defaultShape = 'default';

export type PoolBandwidthPaths = Pick<PoolPaths, 'bandwidth' | 'ports' | 'namespace'>;

export class PoolBandwidth implements BandwidthLimits {
  readonly #paths: PoolBandwidthPaths;
  #offer: Bandwidth = {};
  #leaf: Leaf = 'bfifo';

  constructor(paths: PoolBandwidthPaths) {
    this.#paths = paths;
  }

  /** Makes what is missing, for every container that runs; safe to repeat. The bridge and the way out must be there. */
  async assert(): Promise<void> {
    await mkdir(this.#paths.bandwidth, { recursive: true, mode: 0o700 });
    await mkdir(this.#paths.ports, { recursive: true, mode: 0o700 });
    this.#leaf = await this.#findLeaf();
    await this.#write(defaultShape, {});
    for (const direction of directions) await this.#assertRoot(direction);
    await this.setOffer(this.#offer);
    const ports = await readPorts(this.#paths.ports, this.#paths.namespace);
    const lines = await Promise.all(ports.map(async (port) => forInstance(await this.#linesOf(port.containerId), port.address)));
    if (lines.length > 0) await this.#tc(lines.join(''));
  }

  async setOffer(offer: Bandwidth): Promise<void> {
    // Kept first: where the network is not there yet, `assert` takes it up.
    this.#offer = { ...offer };
    await this.#tc(directions.map((direction) => shapeAll(direction, offer)).join(''));
  }

  async apply(containerId: string, bandwidth: Bandwidth): Promise<void> {
    const lines = shapeInstance(bandwidth, this.#leaf);
    const port = await this.#portOf(containerId);
    if (port !== undefined) await this.#tc(forInstance(lines, port.address));
    await this.#write(containerId, bandwidth);
  }

  async applied(containerId: string): Promise<Bandwidth> {
    const text = await readFile(this.#file(containerId), 'utf8').catch(() => '');
    const line = /^# (\{.*\})$/m.exec(text)?.[1];
    return line === undefined ? {} : (JSON.parse(line) as Bandwidth);
  }

  async forget(containerId: string): Promise<void> {
    const port = await this.#portOf(containerId);
    // Its class does no harm: the next container with this address replaces it.
    if (port !== undefined) await this.#tc(forInstance(unshapeInstance(), port.address)).catch(() => undefined);
    await rm(join(this.#paths.ports, containerId), { force: true });
    await rm(this.#file(containerId), { force: true });
  }

  async #portOf(containerId: string): Promise<Port | undefined> {
    return (await readPorts(this.#paths.ports, this.#paths.namespace)).find((port) => port.containerId === containerId);
  }

  async #linesOf(containerId: string): Promise<string> {
    const read = (name: string): Promise<string> => readFile(this.#file(name), 'utf8');
    const text = await read(containerId).catch(() => read(defaultShape));
    return /^shape="([^"]*)"/m.exec(text)?.[1] ?? '';
  }

  /** As the guard's shell reads it. */
  async #write(name: string, bandwidth: Bandwidth): Promise<void> {
    const file = this.#file(name);
    const text = `# ${JSON.stringify(bandwidth)}\nshape="${shapeInstance(bandwidth, this.#leaf)}"\n`;
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  #file(name: string): string {
    return join(this.#paths.bandwidth, name);
  }

  async #assertRoot(direction: Direction): Promise<void> {
    const shown = await runCommand('nsenter', this.#inside('tc', 'qdisc', 'show', 'dev', direction.device));
    if (!shown.includes('qdisc htb 1: root ')) await this.#tc(makeRoot(direction));
  }

  /** Asked of the kernel on a device that carries nothing. */
  async #findLeaf(): Promise<Leaf> {
    if (!(await succeeds('nsenter', this.#inside('tc', 'qdisc', 'replace', 'dev', 'lo', 'root', 'fq_codel')))) return 'bfifo';
    await succeeds('nsenter', this.#inside('tc', 'qdisc', 'del', 'dev', 'lo', 'root'));
    return 'fq_codel';
  }

  #inside(...command: string[]): string[] {
    return [`--net=${this.#paths.namespace}`, ...command];
  }

  async #tc(lines: string): Promise<void> {
    await runCommand('nsenter', this.#inside('tc', '-batch', '-'), lines);
  }
}

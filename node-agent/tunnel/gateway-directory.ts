/** Which gateways there are, as the API told it last; kept on the disk, since a machine may start before it reaches the API. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { gatewayLeaseNamespace } from '../../api/names.ts';
import { gateways, leases } from '../../api/resource-type.ts';
import type { Client } from '../../client/client.ts';
import type { Logger } from '../../runtime/logger.ts';
import { livingGateways } from './order-gateways.ts';
import type { KnownGateway } from './order-gateways.ts';

export interface GatewayDirectoryOptions {
  client: Client;
  /** `agent/gateways.json`. */
  path: string;
  logger: Logger;
}

const timeoutMs = 5_000;
/** Between two questions, however many want to know. */
const freshMs = 2_000;

export class GatewayDirectory {
  readonly #options: GatewayDirectoryOptions;
  #known: readonly KnownGateway[] = [];
  #askedMs = -Infinity;
  #asking: Promise<void> | undefined;

  private constructor(options: GatewayDirectoryOptions) {
    this.#options = options;
  }

  static async open(options: GatewayDirectoryOptions): Promise<GatewayDirectory> {
    const directory = new GatewayDirectory(options);
    directory.#known = await readKnown(options);
    return directory;
  }

  get known(): readonly KnownGateway[] {
    return this.#known;
  }

  /** Never rejects: what was known stays. */
  refresh(signal: AbortSignal): Promise<void> {
    if (performance.now() - this.#askedMs < freshMs) return this.#asking ?? Promise.resolve();
    this.#askedMs = performance.now();
    this.#asking = this.#ask(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#options.logger.debug('the gateways cannot be listed', { error });
      })
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { client, path } = this.#options;
    const options = { signal, timeoutMs, resourceVersion: '0' };
    const [objects, held] = await Promise.all([
      client.list(gateways, options),
      client.list(leases, { ...options, namespace: gatewayLeaseNamespace }),
    ]);
    const known = livingGateways(objects.items, held.items);
    if (isDeepStrictEqual(known, this.#known)) return;
    this.#known = known;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, `${JSON.stringify({ version: 1, gateways: known })}\n`, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

/** A file that is damaged is as good as none. */
async function readKnown({ path, logger }: GatewayDirectoryOptions): Promise<readonly KnownGateway[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn('the gateways that were known cannot be read', { error });
    return [];
  }
  try {
    const { gateways: known } = JSON.parse(text) as { gateways?: Partial<KnownGateway>[] };
    return (known ?? []).flatMap(({ name, addresses }) =>
      typeof name === 'string' && Array.isArray(addresses) && addresses.every((each) => typeof each === 'string')
        ? [{ name, addresses }]
        : [],
    );
  } catch (error) {
    logger.warn('the gateways that were known cannot be read', { error });
    return [];
  }
}

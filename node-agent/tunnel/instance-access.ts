/** How people get to the instances here: the tunnel, and what handles the streams that come through it. This is where its parts are put together. */
import { join } from 'node:path';
import type { StreamKind } from '../../api/stream-protocol.ts';
import type { Client } from '../../client/client.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { TunnelIdentity } from './dial-gateway.ts';
import { GatewayDirectory } from './gateway-directory.ts';
import { PortConnectors } from './port-connector.ts';
import { createPortHandler } from './port-handler.ts';
import type { StreamHandler } from './stream-handler.ts';
import { StreamServer } from './stream-server.ts';
import type { StreamWorld } from './stream-server.ts';
import { Tunnel } from './tunnel.ts';

export interface InstanceAccessOptions {
  client: Client;
  /** `$POTLUCK_HOME`. */
  home: string;
  identity: () => Promise<TunnelIdentity>;
  world: StreamWorld;
  /** Of the kinds besides `port`. */
  handlers: Iterable<[StreamKind, StreamHandler]>;
  logger: Logger;
}

export class InstanceAccess {
  readonly #options: InstanceAccessOptions;
  readonly #connectors = new PortConnectors();
  readonly #streams: StreamServer;
  #tunnel: Promise<Tunnel | undefined> = Promise.resolve(undefined);
  #isStopping = false;

  constructor(options: InstanceAccessOptions) {
    this.#options = options;
    const { world, logger } = options;
    const handlers = new Map<StreamKind, StreamHandler>([['port', createPortHandler(this.#connectors)], ...options.handlers]);
    this.#streams = new StreamServer({ world, handlers, logger });
  }

  start(): void {
    this.#tunnel = this.#open().catch((error: unknown) => {
      this.#options.logger.error('the tunnel cannot be started', { error });
      return undefined;
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const tunnel = await this.#tunnel;
    await this.#streams.stop();
    await tunnel?.stop();
    await this.#connectors.stop();
  }

  async #open(): Promise<Tunnel | undefined> {
    const { client, home, identity, world, logger } = this.#options;
    const directory = await GatewayDirectory.open({ client, path: join(home, 'agent', 'gateways.json'), logger });
    if (this.#isStopping) return undefined;
    const { providerUid } = world;
    const tunnel = new Tunnel({ providerUid, identity, directory, serve: (session) => this.#streams.serve(session), logger });
    tunnel.start();
    return tunnel;
  }
}

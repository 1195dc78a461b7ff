/** What the API server hands on to a gateway: requests to `/backend/v1/…`, authenticated, authorised and audited there. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Hub } from './hub.ts';

/** Called for requests whose connection bears the API server's backend certificate, and for no others. */
export interface Backend {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends what is under way, within `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export type BackendFactory = (hub: Hub) => Backend;

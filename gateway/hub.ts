/** Opens streams to instances, wherever the session of their provider ends. */
import type { Duplex } from 'node:stream';
import type { StreamKind, StreamParameters } from '../api/stream-protocol.ts';

export { TunnelError } from './tunnel-error.ts';
export type { TunnelReason } from './tunnel-error.ts';

export type InstanceReference = { readonly uid: string } | { readonly namespace: string; readonly name: string };

export interface OpenStream<K extends StreamKind = StreamKind> {
  instance: InstanceReference;
  kind: K;
  parameters: StreamParameters[K];
  /** Who it is for, as the API knows them; for bounds and events. */
  user: string;
  /** 128 random bits in hex. */
  sessionId: string;
  /** Ends the opening; a stream that was opened, its owner ends. */
  signal?: AbortSignal;
}

export interface Hub {
  /**
   * Resolves when the agent took the stream. Its body is the kind's; either side may be ended by itself. What cuts it (a lost provider, a
   * revoked one, two hours of silence) destroys it with an error. The caller must handle `error`, and destroy what it does not read to the end.
   * @throws {TunnelError}
   */
  open<K extends StreamKind>(request: OpenStream<K>): Promise<Duplex>;
}

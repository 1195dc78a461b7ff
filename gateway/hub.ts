/** Opens streams to instances, wherever the session of their provider ends. */
import type { Duplex } from 'node:stream';
import type { StreamKind, StreamParameters } from '../api/stream-protocol.ts';

/** Why a stream could not be opened. */
export type TunnelReason =
  /** There is no such instance. */
  | 'NotFound'
  /** It has no place. */
  | 'NotAssigned'
  /** It does not run, or not as the request takes it. */
  | 'NotRunning'
  /** Its provider is not connected, or was lost on the way. */
  | 'Unreachable'
  /** The agent does not do it: the kind, its parameters, or what they name. */
  | 'Refused'
  /** Too many streams; again later. */
  | 'Busy';

/** The message says what, why and since when, as people are shown it: one line. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly reason: TunnelReason;

  constructor(reason: TunnelReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

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

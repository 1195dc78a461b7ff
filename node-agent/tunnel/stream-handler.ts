/** What handles streams that come through the tunnel: one handler for each kind. */
import type { Duplex } from 'node:stream';
import type { Instance } from '../../api/generated/instance.ts';
import type { StreamKind } from '../../api/stream-protocol.ts';
import type { ObservedContainer } from '../engine/engine.ts';

/** A stream whose kind, instance, epoch and state were checked. */
export interface StreamRequest {
  /** As the API has it; it is this provider's at this epoch. */
  readonly instance: Instance;
  /** Of this epoch, and running; only where the kind needs no running one it may be another or none. */
  readonly container: ObservedContainer | undefined;
  /** As they came: JSON that nobody looked at yet. */
  readonly parameters: unknown;
  /** 128 random bits in hex. */
  readonly sessionId: string;
  readonly user: string;
  /**
   * Answers 200; from then on the body is the kind's, and refusing is not possible any more. Both sides may be ended one by one. Called at most once.
   */
  readonly accept: () => Duplex;
  /** Aborts when the stream is over, whoever ended it, or must be: then the handler lets go of everything. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when it is done and has left nothing behind. Before `accept()` it may throw {@link StreamRefusal}, which becomes the answer; any
 * other failure is logged, answered with 500 or, later, cuts the stream.
 */
export type StreamHandler = (request: StreamRequest) => Promise<void>;

export type StreamHandlers = ReadonlyMap<StreamKind, StreamHandler>;

/** Becomes the answer to a stream: a Kubernetes `Status` with this code, reason and message. */
export class StreamRefusal extends Error {
  override readonly name = 'StreamRefusal';
  readonly code: 400 | 403 | 404 | 409 | 429 | 500 | 503;
  /** As in a Status: BadRequest, Forbidden, NotFound, Conflict, TooManyRequests, InternalError, ServiceUnavailable. */
  readonly reason: string;

  constructor(code: StreamRefusal['code'], message: string) {
    super(message);
    this.code = code;
    this.reason = refusalReasons[code];
  }
}

const refusalReasons = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
} as const;

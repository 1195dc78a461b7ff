/** Serves streams on the tunnel: checks kind, instance, epoch and state of each, and ends those whose instance is not so any more. */
import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Instance } from '../../api/generated/instance.ts';
import { needsRunning, streamBounds } from '../../api/stream-protocol.ts';
import type { StreamKind } from '../../api/stream-protocol.ts';
import { readStreamRequest } from '../../api/stream-request.ts';
import type { ReadStreamRequest } from '../../api/stream-request.ts';
import { refusalStatus } from '../../api/stream-status.ts';
import type { Status } from '../../api/status.ts';
import type { Logger } from '../../runtime/logger.ts';
import { cutStream } from '../../runtime/splice.ts';
import { StreamBudget } from '../../runtime/stream-budget.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import { judgeStream } from './judge-stream.ts';
import { StreamRefusal } from './stream-handler.ts';
import type { StreamHandlers, StreamRequest } from './stream-handler.ts';

/** What the agent knows of the instances that are assigned to it, as of now. */
export interface StreamWorld {
  providerUid: string;
  /** Whether the API's list was read; before that an instance may be there although it is not known. */
  isSynced: () => boolean;
  instance: (uid: string) => Instance | undefined;
  /** The epoch that the agent acts on; undefined when it has not begun. */
  epoch: (uid: string) => number | undefined;
  containers: (uid: string) => readonly ObservedContainer[];
}

export interface StreamServerOptions {
  world: StreamWorld;
  handlers: StreamHandlers;
  logger: Logger;
  /** How often it is looked whether instances still are as they were; 500 ms. */
  lookMs?: number;
}

const stopMs = 5_000;

interface OpenStream {
  request: ReadStreamRequest;
  stream: ServerHttp2Stream;
  abort: AbortController;
  /** Of what it was opened to: another run of the same container is another. */
  container: Pick<ObservedContainer, 'id' | 'pid'> | undefined;
}

export class StreamServer {
  readonly #options: StreamServerOptions;
  readonly #budget = new StreamBudget();
  readonly #open = new Set<OpenStream>();
  readonly #running = new Set<Promise<void>>();
  readonly #look: NodeJS.Timeout;

  constructor(options: StreamServerOptions) {
    this.#options = options;
    this.#look = setInterval(() => this.look(), options.lookMs ?? 500);
    this.#look.unref();
  }

  /** Streams that are open now, by kind. */
  get openStreams(): ReadonlyMap<StreamKind, number> {
    const kinds = Map.groupBy(this.#open, ({ request }) => request.kind);
    return new Map([...kinds].map(([kind, streams]) => [kind, streams.length]));
  }

  serve(session: ServerHttp2Session): void {
    session.on('stream', (stream, headers) => {
      // What is to be known of it, 'close' tells.
      stream.on('error', () => undefined);
      const work = this.#serveStream(stream, headers);
      this.#running.add(work);
      void work.finally(() => this.#running.delete(work));
    });
  }

  /** Ends the streams of instances that are not as they were when these were opened. Cheap: called whenever something may have changed. */
  look(): void {
    for (const open of this.#open) {
      const verdict = this.#judge(open.request);
      const isSame = 'container' in verdict && isSameRun(open, verdict.container);
      if (!isSame) end(open, 'refusal' in verdict ? (verdict.refusal.message ?? 'it is over') : 'the container was started anew');
    }
  }

  /** Ends everything, and waits until the handlers let go, though not for ever. */
  async stop(): Promise<void> {
    clearInterval(this.#look);
    for (const open of this.#open) end(open, 'the agent stops');
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => resolve('late'), stopMs);
    const outcome = await Promise.race([Promise.all(this.#running), late]);
    clearTimeout(timer);
    if (outcome === 'late') this.#options.logger.error('streams do not let go', { streams: this.#running.size });
  }

  async #serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const read = readStreamRequest(headers);
    if ('refusal' in read) {
      refuse(stream, read.refusal);
      return;
    }
    const { request } = read;
    const verdict = this.#judge(request);
    if ('refusal' in verdict) {
      refuse(stream, verdict.refusal);
      return;
    }
    const release = this.#open.size < streamBounds.perAgent ? this.#budget.take(request.user) : undefined;
    if (release === undefined) {
      refuse(stream, refusalStatus(429, `${request.user} or this provider has as many streams open as are allowed`));
      return;
    }
    const open: OpenStream = { request, stream, abort: new AbortController(), container: verdict.container };
    this.#open.add(open);
    stream.once('close', () => open.abort.abort());
    // The other end gave up; 'close' would wait for somebody to read to the end.
    stream.once('aborted', () => end(open, 'the other end gave the stream up'));
    try {
      await this.#handle(open, verdict);
    } finally {
      this.#open.delete(open);
      release();
    }
  }

  #judge(request: ReadStreamRequest): ReturnType<typeof judgeStream> {
    const { world, handlers } = this.#options;
    const { instanceUid: uid, kind, epoch } = request;
    return judgeStream({
      kind,
      isServed: handlers.has(kind),
      askedEpoch: epoch,
      providerUid: world.providerUid,
      isSynced: world.isSynced(),
      instance: world.instance(uid),
      ownEpoch: world.epoch(uid),
      containers: world.containers(uid),
    });
  }

  async #handle(
    open: OpenStream,
    { instance, container }: { instance: Instance; container: ObservedContainer | undefined },
  ): Promise<void> {
    const { stream, request, abort } = open;
    const { kind, parameters, sessionId, user } = request;
    const { handlers, logger } = this.#options;
    const accept = (): ServerHttp2Stream => {
      if (stream.destroyed) throw new StreamRefusal(503, 'the stream is gone already');
      stream.respond({ ':status': 200 });
      stream.setTimeout(streamBounds.idleMs, () => end(open, 'nothing moved for two hours'));
      return stream;
    };
    const given: StreamRequest = { instance, container, parameters, sessionId, user, accept, signal: abort.signal };
    try {
      await handlers.get(kind)?.(given);
      finish(stream);
    } catch (error) {
      if (error instanceof StreamRefusal && !stream.headersSent) refuse(stream, refusalStatus(error.code, error.message));
      else {
        if (!abort.signal.aborted) logger.error('a stream failed', { kind, stream: sessionId, instance: instance.metadata.name, error });
        if (stream.headersSent) cutStream(stream, new Error('the stream failed'));
        else refuse(stream, refusalStatus(500, 'the agent failed'));
      }
    }
  }
}

function isSameRun({ container, request }: OpenStream, now: ObservedContainer | undefined): boolean {
  if (!needsRunning(request.kind)) return true;
  return container?.id === now?.id && container?.pid === now?.pid;
}

/** The other end learns that it was cut: a clean end would look as if all was said. */
function end({ stream, abort }: OpenStream, why: string): void {
  const error = new Error(why);
  cutStream(stream, error);
  abort.abort(error);
}

/** The handler is done; what the other end still sends is of no use. */
function finish(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return;
  if (!stream.headersSent) {
    refuse(stream, refusalStatus(500, 'the agent did not answer'));
    return;
  }
  const close = (): void => stream.close(constants.NGHTTP2_NO_ERROR);
  if (stream.writableFinished) close();
  else stream.once('finish', close);
  if (!stream.writableEnded) stream.end();
}

function refuse(stream: ServerHttp2Stream, status: Status): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': status.code ?? 500, 'content-type': 'application/json' });
  stream.end(JSON.stringify(status));
}

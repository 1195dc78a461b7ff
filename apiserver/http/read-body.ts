import type { IncomingMessage } from 'node:http';
import { StatusError, badRequest } from '../registry/status-error.ts';

/** Kubernetes' own bound on a request's body, in bytes. */
export const largestBody = 3 * 1024 * 1024;

/** For as long as their requests. */
const bodiesRead = new WeakMap<IncomingMessage, Buffer>();

/** What a {@link BodyReader} has read; undefined before it has. */
export function bodyOf(request: IncomingMessage): Buffer | undefined {
  return bodiesRead.get(request);
}

export interface BodyLimits {
  /** Bytes of bodies that are being read, of all users and of one. */
  totalBytes: number;
  userBytes: number;
}

const defaultLimits: BodyLimits = { totalBytes: 256 * 1024 * 1024, userBytes: 64 * 1024 * 1024 };

/** Reads bodies whole, within bounds on one body and on all that are under way. */
export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #bytesByUser = new Map<string, number>();
  #bytes = 0;

  constructor(limits: BodyLimits = defaultLimits) {
    this.#limits = limits;
  }

  /**
   * Throws 413 as soon as the body is known to be too large, 429 when too many bytes are under way. Leaves what it did not read to the caller:
   * the connection still carries the answer. How long a body may take is the server's `requestTimeout`.
   */
  async read(request: IncomingMessage, user: string): Promise<Buffer> {
    if (Number(request.headers['content-length'] ?? 0) > largestBody) throw tooLarge();
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        length += chunk.length;
        this.#hold(user, chunk.length);
        if (length > largestBody) throw tooLarge();
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof StatusError) throw error;
      throw badRequest(`the body could not be read: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#release(user, length);
    }
    const body = Buffer.concat(chunks, length);
    bodiesRead.set(request, body);
    return body;
  }

  #hold(user: string, bytes: number): void {
    const ofUser = (this.#bytesByUser.get(user) ?? 0) + bytes;
    this.#bytesByUser.set(user, ofUser);
    this.#bytes += bytes;
    if (ofUser > this.#limits.userBytes || this.#bytes > this.#limits.totalBytes) throw tooMany();
  }

  #release(user: string, bytes: number): void {
    const left = (this.#bytesByUser.get(user) ?? 0) - bytes;
    if (left > 0) this.#bytesByUser.set(user, left);
    else this.#bytesByUser.delete(user);
    this.#bytes -= bytes;
  }
}

/** A client that is still sending would lose the answer if the connection were cut under it: it gets a moment to notice. */
const lingerMs = 2000;

/** Reads on without keeping anything until the body ends, the client goes, or the moment is over. */
export async function discardRest(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  const timer = setTimeout(done, lingerMs);
  request.once('end', done).once('close', done).once('error', done).resume();
  await promise;
  clearTimeout(timer);
}

function tooLarge(): StatusError {
  const message = `Request entity too large: limit is ${largestBody}`;
  return new StatusError({ message, reason: 'RequestEntityTooLarge', code: 413 });
}

function tooMany(): StatusError {
  const message = 'too many bytes of requests are under way: try again in a second';
  return new StatusError({ message, reason: 'TooManyRequests', details: { retryAfterSeconds: 1 }, code: 429 });
}

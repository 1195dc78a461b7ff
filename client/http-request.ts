/** One request over Node's https: every wait has a bound, the body has a bound, an abort ends it at once. */
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { finished } from 'node:stream/promises';
import type { Credentials } from './connection.ts';

export interface HttpRequest {
  method: string;
  /** With its query. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** Aborts the request and the reading of its answer. */
  signal: AbortSignal;
}

/** A list of 50,000 objects of 2 kB; what is longer is refused rather than kept in memory. */
const maxBodyBytes = 128 * 1024 * 1024;

/** Resolves when the head of the answer is in. The caller must read or destroy the body. Rejects with the transport's error. */
export async function openRequest(credentials: Credentials, request: HttpRequest): Promise<IncomingMessage> {
  request.signal.throwIfAborted();
  try {
    return await openOnce(credentials, request);
  } catch (error) {
    // The server closed a kept connection just as we took it. A request that changes nothing may go again, on another one.
    if (error instanceof StaleConnectionError && request.method === 'GET' && !request.signal.aborted) return openOnce(credentials, request);
    throw error instanceof StaleConnectionError ? error.cause : error;
  }
}

class StaleConnectionError extends Error {
  override readonly name = 'StaleConnectionError';
}

async function openOnce(credentials: Credentials, request: HttpRequest): Promise<IncomingMessage> {
  const url = new URL(`${credentials.server}${request.path}`);
  const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
  const body = request.body === undefined ? undefined : Buffer.from(request.body);
  const headers = { ...credentials.headers, ...request.headers, ...(body === undefined ? {} : { 'content-length': body.length }) };
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { method: request.method, agent: credentials.agent, headers, signal: request.signal });
    outgoing.once('response', resolve);
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      reject(isStale ? new StaleConnectionError('the server closed a kept connection', { cause: error }) : reasonOf(request.signal, error));
    });
    outgoing.end(body);
  });
}

/** Reads the whole body; rejects when it breaks off or is too long. */
export async function readBody(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) response.destroy(new RangeError(`the answer is longer than ${maxBodyBytes} bytes`));
    else chunks.push(chunk);
  });
  try {
    await finished(response);
  } catch (error) {
    throw reasonOf(signal, error as Error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Node says only "aborted"; the signal knows why. */
export function reasonOf(signal: AbortSignal, error: Error): Error {
  return signal.aborted && signal.reason instanceof Error ? signal.reason : error;
}

import type { IncomingMessage } from 'node:http';
import { StatusError, badRequest } from '../registry/status-error.ts';

/** Kubernetes' own bound on a request's body, in bytes. */
export const largestBody = 3 * 1024 * 1024;

/** The whole body; 413 as soon as it is known to be too large. How long it may take is the server's `requestTimeout`. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > largestBody) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > largestBody) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`the body could not be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(): StatusError {
  const message = `Request entity too large: limit is ${largestBody}`;
  return new StatusError({ message, reason: 'RequestEntityTooLarge', code: 413 });
}

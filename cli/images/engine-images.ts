/** The few requests about images that `potluck up` makes to a container engine, over its unix socket. Everything else is the agent's. */
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface EngineRequestOptions {
  signal: AbortSignal;
}

/** Whether the engine has the image. */
export async function hasImage(socketPath: string, reference: string, options: EngineRequestOptions): Promise<boolean> {
  const { status } = await ask(socketPath, 'GET', `/images/${encodeURIComponent(reference)}/json`, options);
  if (status !== 200 && status !== 404) throw new Error(`the engine answered ${status} when asked for the image ${reference}`);
  return status === 200;
}

/** Whether the registry that the engine would pull from answers for this image, within `timeoutMs`. */
export async function registryAnswers(
  socketPath: string,
  reference: string,
  timeoutMs: number,
  options: EngineRequestOptions,
): Promise<boolean> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const { status } = await ask(socketPath, 'GET', `/distribution/${encodeURIComponent(reference)}/json`, { signal });
    return status === 200;
  } catch {
    options.signal.throwIfAborted();
    return false;
  }
}

/** Makes an image of one layer from a tar of a root file system, plain or compressed. */
export async function importImage(socketPath: string, tar: Readable, reference: string, options: EngineRequestOptions): Promise<void> {
  const colon = reference.lastIndexOf(':');
  const query = new URLSearchParams({
    fromSrc: '-',
    repo: reference.slice(0, colon),
    tag: reference.slice(colon + 1),
    changes: 'CMD ["/bin/bash"]',
  });
  const sent = open(socketPath, 'POST', `/images/create?${query.toString()}`, options);
  sent.setHeader('content-type', 'application/x-tar');
  const answered = answer(sent);
  // An engine that refuses answers before it has read everything; then its answer counts, not the broken pipe.
  const [piped, { status, body }] = await Promise.all([pipeline(tar, sent).catch((error: unknown) => error), answered]);
  const complaint = errorIn(body);
  if (status !== 200 || complaint !== undefined)
    throw new Error(`the engine did not import ${reference}: ${complaint ?? `status ${status}`}`);
  if (piped instanceof Error) throw piped;
}

interface Answer {
  status: number;
  body: string;
}

async function ask(socketPath: string, method: string, path: string, options: EngineRequestOptions): Promise<Answer> {
  const sent = open(socketPath, method, path, options);
  sent.end();
  return await answer(sent);
}

function open(socketPath: string, method: string, path: string, { signal }: EngineRequestOptions): ClientRequest {
  return request({ socketPath, method, path, signal, headers: { host: 'engine' } });
}

/** Answers are small here; what goes beyond is cut. */
const maxBodyLength = 1_000_000;

function answer(sent: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response: IncomingMessage) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < maxBodyLength) body += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
  });
}

/** The engine reports failures midway as a line `{"error": "…"}`, and at once as `{"message": "…"}`. */
function errorIn(body: string): string | undefined {
  for (const line of body.split('\n').reverse()) {
    try {
      const { error, message } = JSON.parse(line) as { error?: string; message?: string };
      if (error !== undefined || message !== undefined) return error ?? message;
    } catch {
      // Not a line of JSON; progress may be cut.
    }
  }
  return undefined;
}

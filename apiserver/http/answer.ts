/** What goes back to a client that did not ask for a stream, and how it is written. */
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { stringify } from 'yaml';
import type { Status } from '../../api/status.ts';

export interface Answer {
  code: number;
  contentType: string;
  body: Uint8Array;
  /** What comes after the body: kept bytes, which many answers share. Copied a slice at a time, as the client takes them. */
  more?: readonly Uint8Array[];
  headers?: Readonly<Record<string, string>>;
  /** Go out as `Warning: 299 - "…"`. */
  warnings?: readonly string[];
}

const compress = promisify(gzip);
/** Answers below this many bytes are not worth compressing (k8s.io/apiserver `responsewriters`). */
const gzipThresholdBytes = 128 * 1024;
const longestWarnings = 4096;
/** Most readers know YAML 1.1 only: what they would take for a time or a boolean is quoted. */
const yamlOptions = { version: '1.1', sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 } as const;

export type Encoding = 'json' | 'yaml';

export function mediaTypeOf(encoding: Encoding): string {
  return encoding === 'json' ? 'application/json' : 'application/yaml';
}

/** Encodes any JSON value as the client wants it. */
export function answerWith(code: number, value: unknown, encoding: Encoding = 'json', contentType = mediaTypeOf(encoding)): Answer {
  const text = encoding === 'json' ? `${JSON.stringify(value)}\n` : stringify(value, yamlOptions);
  return { code, contentType, body: Buffer.from(text) };
}

export function answerWithStatus(status: Status, encoding: Encoding): Answer {
  const seconds = status.details?.retryAfterSeconds;
  const answer = answerWith(status.code ?? 500, status, encoding);
  return seconds === undefined ? answer : { ...answer, headers: { 'retry-after': String(seconds) } };
}

export function answerWithText(code: number, text: string): Answer {
  return { code, contentType: 'text/plain; charset=utf-8', body: Buffer.from(text), headers: { 'x-content-type-options': 'nosniff' } };
}

export function pageNotFound(): Answer {
  return answerWithText(404, '404 page not found\n');
}

/** Writes an answer, compressed when it is large and the client takes that; the caller ends it. */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  accepted: { encodings: string | undefined; bodyless: boolean },
): Promise<void> {
  const headers: Record<string, string | string[] | number> = {
    'cache-control': 'no-cache, private',
    'content-type': answer.contentType,
    ...answer.headers,
  };
  if (answer.warnings !== undefined && answer.warnings.length > 0) headers['warning'] = warningHeaders(answer.warnings);
  let pieces = [answer.body, ...(answer.more ?? [])];
  if (lengthOf(pieces) > gzipThresholdBytes && acceptsGzip(accepted.encodings)) {
    pieces = [await compress(Buffer.concat(pieces), { level: constants.Z_BEST_SPEED })];
    headers['content-encoding'] = 'gzip';
    headers['vary'] = headers['vary'] === undefined ? 'Accept-Encoding' : `${String(headers['vary'])}, Accept-Encoding`;
  }
  if (response.destroyed) return;
  headers['content-length'] = lengthOf(pieces);
  response.writeHead(answer.code, headers);
  if (!accepted.bodyless && answer.code !== 304) await writeBody(response, pieces);
}

/** Bytes handed to the socket at once. */
const sliceBytes = 256 * 1024;
/** A client that takes no slice within this time is cut off: what waits for it is memory of the server. */
const stallMs = 30_000;

async function writeBody(response: ServerResponse, pieces: readonly Uint8Array[]): Promise<void> {
  for (const slice of slicesOf(pieces)) {
    if (response.destroyed) return;
    if (!response.write(slice)) await drained(response);
  }
}

function* slicesOf(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let length = 0;
  for (const piece of pieces) {
    small.push(piece);
    length += piece.length;
    if (length < sliceBytes) continue;
    const joined = Buffer.concat(small);
    for (let start = 0; start < joined.length; start += sliceBytes) yield joined.subarray(start, start + sliceBytes);
    small = [];
    length = 0;
  }
  if (small.length > 0) yield Buffer.concat(small);
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

/** Resolves when the client took what was written, or is gone, or was cut off because it takes nothing. */
async function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  const timer = setTimeout(() => response.destroy(), stallMs);
  response.once('drain', done).once('close', done);
  await promise;
  clearTimeout(timer);
  response.off('drain', done).off('close', done);
}

function acceptsGzip(header: string | undefined): boolean {
  return (header ?? '').split(',').some((part) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/u.test(part));
}

/** Each once, quoted, 4 KiB in all. */
function warningHeaders(warnings: readonly string[]): string[] {
  const headers: string[] = [];
  let length = 0;
  for (const warning of new Set(warnings)) {
    const clean = warning.replace(/\p{Cc}/gu, ' ').replace(/["\\]/gu, '\\$&');
    // Header values are bytes: UTF-8 written as Latin-1 passes node's check and arrives as it was.
    const header = Buffer.from(`299 - "${clean}"`).toString('latin1');
    length += header.length;
    if (length > longestWarnings) break;
    headers.push(header);
  }
  return headers;
}

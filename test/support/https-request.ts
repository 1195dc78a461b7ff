/** Plain HTTPS requests to a test API server, with the certificates of a kubeconfig: for what kubectl would not send. */
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';

export interface Credentials {
  ca: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

export interface RawRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export interface RawAnswer {
  code: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The body as JSON; undefined if it is none. */
  json: Record<string, unknown> | undefined;
}

interface KubeconfigFile {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

export async function readCredentials(kubeconfigPath: string): Promise<Required<Credentials>> {
  const config = JSON.parse(await readFile(kubeconfigPath, 'utf8')) as KubeconfigFile;
  const decode = (text = ''): Buffer => Buffer.from(text, 'base64');
  const user = config.users[0]?.user;
  return {
    ca: decode(config.clusters[0]?.cluster['certificate-authority-data']),
    cert: decode(user?.['client-certificate-data']),
    key: decode(user?.['client-key-data']),
  };
}

/** Sends one request on a connection of its own and answers when the answer begins. */
export function openRequest(
  url: string,
  credentials: Credentials,
  { method = 'GET', headers = {}, body }: RawRequest = {},
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(url, { method, headers, agent: false, ...credentials }, resolve);
  // A server that refuses a body early may close while it is still being sent: the answer counts.
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

/** Sends one request and reads the whole answer. */
export async function rawRequest(url: string, credentials: Credentials, raw: RawRequest = {}): Promise<RawAnswer> {
  const incoming = await openRequest(url, credentials, raw);
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return { code: incoming.statusCode ?? 0, headers: incoming.headers, body, json: parseJson(body) };
}

function parseJson(body: Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

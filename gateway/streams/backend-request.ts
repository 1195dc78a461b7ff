/** What the API server hands on: who asks for what of which instance, and how. Pure. */
import type { IncomingHttpHeaders } from 'node:http';
import type { AttachParameters, ExecParameters, LogParameters } from '../../api/stream-protocol.ts';
import type { Status } from '../../api/status.ts';

export const subresources = ['exec', 'attach', 'log', 'portforward'] as const;
export type StreamSubresource = (typeof subresources)[number];

export interface BackendRequest {
  namespace: string;
  name: string;
  subresource: StreamSubresource;
  query: URLSearchParams;
  user: string;
  /** Of the API server's audit log. */
  auditId: string;
}

/** Becomes the answer. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: Status;

  constructor(code: number, reason: string, message: string, details?: Status['details']) {
    super(message);
    this.status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, ...(details && { details }), code };
  }
}

/** The only container of an instance, as its pod shows it. */
const containerName = 'instance';
const prefix = '/backend/v1/pods/';

/** @throws {RequestError} */
export function parseBackendRequest(url: string, headers: IncomingHttpHeaders): BackendRequest {
  const { pathname, searchParams: query } = new URL(url, 'https://gateway');
  const [namespace, name, subresource, ...rest] = pathname.startsWith(prefix)
    ? pathname.slice(prefix.length).split('/').map(decodeURIComponent)
    : [];
  const known = subresources.find((each) => each === subresource);
  if (namespace === undefined || name === undefined || known === undefined || rest.length > 0) {
    throw new RequestError(404, 'NotFound', 'the server could not find the requested resource');
  }
  const user = headerText(headers['x-remote-user']);
  if (user === '') throw new RequestError(403, 'Forbidden', 'the request does not say who asks');
  const container = query.get('container') ?? '';
  if (container !== '' && container !== containerName) {
    throw new RequestError(
      400,
      'BadRequest',
      `container ${container} is not valid for pod ${name}: an instance has one, ${JSON.stringify(containerName)}`,
    );
  }
  return { namespace, name, subresource: known, query, user, auditId: headerText(headers['audit-id']) };
}

/** The API server writes UTF-8 into header values byte by byte. */
function headerText(value: string | string[] | undefined): string {
  return Buffer.from((Array.isArray(value) ? value[0] : value) ?? '', 'latin1').toString('utf8');
}

/** As Kubernetes reads booleans: everything but these is true. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

/** @throws {RequestError} */
export function attachParametersOf(query: URLSearchParams): AttachParameters {
  const tty = flag(query, 'tty');
  const streams = { stdin: flag(query, 'stdin'), stdout: flag(query, 'stdout'), stderr: flag(query, 'stderr') };
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new RequestError(400, 'BadRequest', 'you must specify at least 1 of stdin, stdout, stderr');
  }
  // A terminal has one output.
  return { ...streams, stderr: streams.stderr && !tty, tty };
}

/** @throws {RequestError} */
export function execParametersOf(query: URLSearchParams): ExecParameters {
  const command = query.getAll('command');
  if (command.length === 0 || command[0] === '') throw new RequestError(400, 'BadRequest', 'you must specify at least one command');
  return { command, ...attachParametersOf(query) };
}

/** @throws {RequestError} */
export function logParametersOf({ query, name }: Pick<BackendRequest, 'query' | 'name'>): LogParameters {
  const number = (field: string): number | undefined => {
    const text = query.get(field);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    const least = field === 'tailLines' ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw invalid(name, field, JSON.stringify(text), `must be a whole number from ${least} on`);
    return value;
  };
  const sinceTime = query.get('sinceTime') ?? '';
  const sinceSeconds = number('sinceSeconds');
  if (sinceTime !== '' && Number.isNaN(Date.parse(sinceTime)))
    throw invalid(name, 'sinceTime', JSON.stringify(sinceTime), 'must be a time');
  if (sinceTime !== '' && sinceSeconds !== undefined) {
    throw new RequestError(
      422,
      'Invalid',
      `PodLogOptions ${JSON.stringify(name)} is invalid: sinceSeconds: Forbidden: may not be used together with sinceTime`,
    );
  }
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  return {
    follow: flag(query, 'follow'),
    previous: flag(query, 'previous'),
    timestamps: flag(query, 'timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(sinceTime === '' ? {} : { sinceTime }),
  };
}

function invalid(name: string, field: string, value: string, why: string): RequestError {
  return new RequestError(422, 'Invalid', `PodLogOptions ${JSON.stringify(name)} is invalid: ${field}: Invalid value: ${value}: ${why}`, {
    name,
    kind: 'PodLogOptions',
    causes: [{ reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${why}`, field }],
  });
}

/** Writes down what the policy asks for: who did what, when, and what came of it (`audit.k8s.io/v1` Event). */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { decodeYaml } from '../../admission/decode-yaml.ts';
import type { Requester } from '../../access/access-control.ts';
import type { UserInfo } from '../../registry/resource.ts';
import type { Answer } from '../answer.ts';
import { decodeProtobuf } from '../kubernetes-protobuf.ts';
import { bodyOf } from '../read-body.ts';
import type { RequestInfo } from '../request-info.ts';
import { shownUrl } from '../shown-url.ts';
import type { AuditLog } from './audit-log.ts';
import { chooseLevel, type AuditChoice, type AuditLevel, type AuditPolicy, type AuditStage } from './audit-policy.ts';

/** Bodies beyond this many bytes are left out, and the event says so. */
const largestBody = 256 * 1024;
/** YAML takes long to read. */
const largestYaml = 16 * 1024;
const longestUri = 8192;

/** What is known of a request at some point; `info` is absent for what could not be understood. */
export interface AuditedExchange {
  request: IncomingMessage;
  response: ServerResponse;
  startMs: number;
  info: RequestInfo | undefined;
  requester: Requester | undefined;
  /** Absent for a stream. */
  answer: Answer | undefined;
}

export class Auditor {
  readonly #policy: AuditPolicy;
  readonly #log: AuditLog;
  /** What was decided of requests under way. */
  readonly #records = new WeakMap<IncomingMessage, AuditChoice & { id: string }>();

  constructor(policy: AuditPolicy, log: AuditLog) {
    this.#policy = policy;
    this.#log = log;
  }

  /** Decides on the request by what is known of it, if nothing was decided yet: before the head of the answer goes out. */
  begin(exchange: AuditedExchange): void {
    this.#recordOf(exchange);
  }

  /** As soon as it is known who asks for what, before anything is done. */
  received(exchange: AuditedExchange): void {
    this.#write('RequestReceived', exchange);
  }

  /** The answer is written, or its stream has begun: then its end follows. */
  answered(exchange: AuditedExchange): void {
    const { response, answer } = exchange;
    if (answer !== undefined || response.destroyed || response.writableEnded) {
      this.#write('ResponseComplete', exchange);
      return;
    }
    this.#write('ResponseStarted', exchange);
    response.once('close', () => {
      this.#write('ResponseComplete', exchange);
    });
  }

  close(): void {
    this.#log.close();
  }

  #recordOf({ request, response, info, requester }: AuditedExchange): AuditChoice & { id: string } {
    let record = this.#records.get(request);
    if (record === undefined) {
      const asked = info ?? { kind: 'path' as const, verb: (request.method ?? '').toLowerCase(), path: pathOf(request) };
      record = { ...chooseLevel(this.#policy, asked, requester?.user), id: randomUUID() };
      this.#records.set(request, record);
      if (record.level !== 'None' && !response.headersSent) response.setHeader('audit-id', record.id);
    }
    return record;
  }

  #write(stage: AuditStage, exchange: AuditedExchange): void {
    const { level, omitStages, id } = this.#recordOf(exchange);
    if (level === 'None' || omitStages.includes(stage)) return;
    this.#log.write({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level,
      auditID: id,
      stage,
      ...describeRequest(exchange),
      ...(stage === 'RequestReceived' ? {} : describeAnswer(level, exchange)),
      requestReceivedTimestamp: microTime(exchange.startMs),
      stageTimestamp: microTime(Date.now()),
    });
  }
}

function describeRequest({ request, info, requester }: AuditedExchange): object {
  const userAgent = request.headers['user-agent'];
  return {
    requestURI: shownUrl((request.url ?? '').slice(0, longestUri)),
    verb: info?.verb ?? (request.method ?? '').toLowerCase(),
    user: describe(requester?.impersonator ?? requester?.user),
    ...(requester?.impersonator === undefined ? {} : { impersonatedUser: describe(requester.user) }),
    sourceIPs: [request.socket.remoteAddress ?? ''],
    ...(userAgent === undefined ? {} : { userAgent }),
    ...(info?.kind === 'resource' ? { objectRef: objectRef(info) } : {}),
  };
}

function describeAnswer(level: AuditLevel, exchange: AuditedExchange): object {
  return { responseStatus: { metadata: {}, code: exchange.response.statusCode }, ...bodies(level, exchange) };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?')[0] ?? url;
}

function describe(user: UserInfo | undefined): object {
  if (user === undefined) return {};
  const { name, uid, groups, extra } = user;
  return { username: name, ...(uid === undefined ? {} : { uid }), groups, ...(extra === undefined ? {} : { extra }) };
}

function objectRef({ group, version, resource, namespace, name, subresource }: RequestInfo & { kind: 'resource' }): object {
  const optional = { ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { name }) };
  const apiGroup = group === '' ? {} : { apiGroup: group };
  return { resource, ...optional, ...apiGroup, apiVersion: version, ...(subresource === undefined ? {} : { subresource }) };
}

/** `meta/v1.MicroTime`. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

function bodies(level: AuditLevel, { request, answer }: AuditedExchange): object {
  if (level === 'Metadata' || level === 'None') return {};
  const sent = bodyOf(request);
  const shown = level === 'RequestResponse' ? answer : undefined;
  const parts = [
    ['requestObject', sent, request.headers['content-type']],
    ['responseObject', shown?.body, shown?.contentType],
  ] as const;
  const event: Record<string, unknown> = {};
  for (const [field, body, contentType] of parts) {
    if (body === undefined || body.length === 0) continue;
    if (body.length > (contentType?.includes('yaml') === true ? largestYaml : largestBody))
      event['annotations'] = { 'audit.k8s.io/truncated': 'true' };
    else event[field] = decode(body, contentType);
  }
  return event;
}

/** Undefined, and so left out, for what cannot be read. */
function decode(body: Uint8Array, contentType = ''): unknown {
  try {
    if (contentType.startsWith('application/vnd.kubernetes.protobuf')) return decodeProtobuf(body);
    if (contentType.includes('yaml')) return decodeYaml(Buffer.from(body)).value;
    return JSON.parse(Buffer.from(body).toString());
  } catch {
    return undefined;
  }
}

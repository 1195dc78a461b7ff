/** What of a client's request goes on to a backend: all but what is for this server alone, and in whose name it is in place of the proof. Pure. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { UserInfo } from '../registry/resource.ts';

/** Of one connection (RFC 9110, section 7.6.1), or a proof that is for us. */
const notForwarded = new Set([
  'authorization',
  'connection',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'audit-id',
]);
/** Backends believe these of us. */
const prefixes = ['impersonate-', 'x-remote-', 'x-potluck-'];

export interface Forwarded {
  headers: IncomingHttpHeaders;
  user: UserInfo;
  auditId: string;
  /** Of an upgrade. */
  protocol: string | undefined;
}

export function forwardedHeaders({ headers, user, auditId, protocol }: Forwarded): OutgoingHttpHeaders {
  const own = connectionHeaders(headers);
  const kept = Object.entries(headers).filter(
    ([name]) => !notForwarded.has(name) && !own.has(name) && !prefixes.some((prefix) => name.startsWith(prefix)),
  );
  return {
    ...Object.fromEntries(kept),
    ...userHeaders(user),
    'audit-id': auditId,
    ...(protocol === undefined ? {} : { connection: 'Upgrade', upgrade: protocol }),
  };
}

/** Those that `Connection` names are of that connection too. */
function connectionHeaders({ connection = '' }: IncomingHttpHeaders): Set<string> {
  return new Set(
    connection
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
}

/** As kube-apiserver tells an aggregated server who asks. */
function userHeaders({ name, uid, groups, extra = {} }: UserInfo): OutgoingHttpHeaders {
  const extras = Object.entries(extra).map(([key, values]) => [
    `x-remote-extra-${encodeURIComponent(key).toLowerCase()}`,
    values.map(bytes),
  ]);
  return {
    'x-remote-user': bytes(name),
    ...(uid === undefined ? {} : { 'x-remote-uid': bytes(uid) }),
    'x-remote-group': groups.map(bytes),
    ...(Object.fromEntries(extras) as OutgoingHttpHeaders),
  };
}

/** Header values are bytes: UTF-8 written as Latin-1 arrives as it was. What would end the header cannot come from a header or a certificate of ours. */
function bytes(text: string): string {
  return Buffer.from(text.replace(/\p{Cc}/gu, ' ')).toString('latin1');
}

/** Of a backend's answer: what is not of its connection, nor this server's to say. */
export function answeredHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const own = connectionHeaders(headers);
  const dropped = (name: string): boolean => name === 'audit-id' || name === 'date' || notForwarded.has(name) || own.has(name);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped(name)));
}

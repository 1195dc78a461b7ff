import type { IncomingHttpHeaders } from 'node:http';
import type { UserInfo } from '../registry/resource.ts';
import { forbidden } from './authorize.ts';

/**
 * Acting as another user (`kubectl --as`) is not offered. Throws 403: a request that asks for it must not be done in the name of who sent it.
 */
export function refuseImpersonation(user: UserInfo, headers: IncomingHttpHeaders): void {
  const asked = Object.keys(headers).find((name) => name.startsWith('impersonate-'));
  if (asked === undefined) return;
  const name = headers['impersonate-user'];
  const whom = typeof name === 'string' ? { name } : {};
  throw forbidden(user, { kind: 'resource', verb: 'impersonate', group: '', resource: 'users', ...whom });
}

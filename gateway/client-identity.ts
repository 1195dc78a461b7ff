/** Who somebody is by the certificate that they showed. The pool's authority signed it: TLS saw to that. Pure. */
import {
  apiServersGroup,
  apiServerUser,
  gatewaysGroup,
  gatewayUser,
  jumpHostsGroup,
  jumpHostUser,
  providersGroup,
  providerUser,
} from '../api/names.ts';

export type ClientIdentity =
  { kind: 'provider'; uid: string } | { kind: 'gateway' } | { kind: 'jump-host' } | { kind: 'api-server' } | { kind: 'stranger' };

/** As `tls` has it: an attribute that is there several times is an array. */
export interface CertificateSubject {
  CN?: string | string[] | undefined;
  O?: string | string[] | undefined;
}

const programs = [
  { kind: 'gateway', user: gatewayUser, group: gatewaysGroup },
  { kind: 'jump-host', user: jumpHostUser, group: jumpHostsGroup },
  { kind: 'api-server', user: apiServerUser, group: apiServersGroup },
] as const;

/** Both name and group must be there; more than one name is nobody's. */
export function identityOf({ CN: user, O: organizations = [] }: CertificateSubject): ClientIdentity {
  if (typeof user !== 'string') return { kind: 'stranger' };
  const groups = typeof organizations === 'string' ? [organizations] : organizations;
  const program = programs.find((each) => each.user === user && groups.includes(each.group));
  if (program !== undefined) return { kind: program.kind };
  const prefix = providerUser('');
  if (groups.includes(providersGroup) && user.startsWith(prefix) && user.length > prefix.length) {
    return { kind: 'provider', uid: user.slice(prefix.length) };
  }
  return { kind: 'stranger' };
}

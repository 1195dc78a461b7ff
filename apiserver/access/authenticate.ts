/** Who asks: the subject of the client's certificate, as Kubernetes reads it (CN is the user, each O a group). */
import type { TLSSocket } from 'node:tls';
import type { UserInfo } from '../registry/resource.ts';

export const anonymousUser: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

interface Identity {
  user: UserInfo;
  /** Milliseconds since the epoch. */
  notAfterMs: number;
}

/** What a connection's certificate said, read once for each connection. */
const identities = new WeakMap<TLSSocket, Identity | 'anonymous' | 'refused'>();

/** The user behind a connection; undefined when it showed a certificate that does not hold, which is answered with 401. */
export function authenticate(socket: TLSSocket, nowMs: number): UserInfo | undefined {
  let known = identities.get(socket);
  if (known === undefined) {
    known = readIdentity(socket);
    identities.set(socket, known);
  }
  if (known === 'anonymous') return anonymousUser;
  if (known === 'refused' || nowMs > known.notAfterMs) return undefined;
  return known.user;
}

function readIdentity(socket: TLSSocket): Identity | 'anonymous' | 'refused' {
  // Typed as always there, but an empty object or null when the client showed none. `authorized` alone says nothing: a resumed session
  // without a certificate counts as authorized.
  const certificate = socket.getPeerCertificate() as Partial<ReturnType<TLSSocket['getPeerCertificate']>> | null;
  if (certificate?.subject === undefined) return 'anonymous';
  if (!socket.authorized) return 'refused';
  const { CN: commonName, O: organization } = certificate.subject as { CN?: string | string[]; O?: string | string[] };
  const notAfterMs = Date.parse(certificate.valid_to ?? '');
  if (typeof commonName !== 'string' || commonName === '' || Number.isNaN(notAfterMs)) return 'refused';
  const groups = organization === undefined ? [] : Array.isArray(organization) ? organization : [organization];
  return { user: { name: commonName, groups: [...new Set([...groups, 'system:authenticated'])] }, notAfterMs };
}

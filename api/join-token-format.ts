/** The text of a join token, `plk1.<id>.<secret>.<CA>`; docs/identity.md says what each part is. Pure. */

export interface JoinTokenText {
  /** The name of the JoinToken object. */
  id: string;
  secret: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the pool's CA, base64url. */
  caHash: string;
}

export const joinTokenPrefix = 'plk1';

/** What the machine shows to the API: never the CA's hash, so that the whole is only where it is needed. */
export function bearerOf({ id, secret }: Pick<JoinTokenText, 'id' | 'secret'>): string {
  return `${joinTokenPrefix}.${id}.${secret}`;
}

export function formatJoinToken({ id, secret, caHash }: JoinTokenText): string {
  return `${bearerOf({ id, secret })}.${caHash}`;
}

/** Undefined for anything else, also for a token without the CA's hash: without it nobody could tell the pool from somebody in between. */
export function parseJoinToken(text: string): JoinTokenText | undefined {
  const match = /^plk1\.([a-z0-9]{8})\.([a-z2-7]{26})\.([A-Za-z0-9_-]{43})$/.exec(text);
  if (match === null) return undefined;
  const [, id = '', secret = '', caHash = ''] = match;
  return { id, secret, caHash };
}

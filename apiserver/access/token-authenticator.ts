/** Who shows a bearer token: its signature, its times, its audience, and whether what it is bound to still exists as the same object. */
import { createHash } from 'node:crypto';
import type { ObjectKey } from '../../api/object.ts';
import type { ResourceCatalogue, UserInfo } from '../registry/resource.ts';
import { StatusError } from '../registry/status-error.ts';
import { registryRoot } from '../registry/storage-keys.ts';
import type { WatchCache } from '../registry/watch-cache.ts';
import { tokenIssuer, verifyToken, type ObjectIdentity, type TokenKey, type VerifiedToken } from './service-account-tokens.ts';

export interface TokenAuthenticatorOptions {
  key: TokenKey;
  catalogue: ResourceCatalogue & { cacheOf(prefix: string): WatchCache };
}

export interface TokenIdentity {
  user: UserInfo;
  audiences: readonly string[];
}

/** Tokens whose signature was found good; what was bad is never remembered. */
const mostRemembered = 4096;
const longestToken = 16 * 1024;
/** How far the clocks of servers may be apart. */
const leewayMs = 60_000;

export class TokenAuthenticator {
  readonly #options: TokenAuthenticatorOptions;
  /** By the token's hash: tokens themselves are not kept. */
  readonly #verified = new Map<string, VerifiedToken>();

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
  }

  /** Undefined for a token that does not hold now for any of `audiences`, which default to the API's own. */
  async authenticate(token: string, nowMs: number, audiences: readonly string[] = [tokenIssuer]): Promise<TokenIdentity | undefined> {
    if (token.length > longestToken) return undefined;
    const verified = await this.#verify(token);
    if (verified === undefined || nowMs >= verified.notAfterMs || nowMs < verified.notBeforeMs - leewayMs) return undefined;
    const shared = verified.audiences.filter((audience) => audiences.includes(audience));
    if (shared.length === 0 || !(await this.#isBound(verified))) return undefined;
    return { user: verified.user, audiences: shared };
  }

  async #verify(token: string): Promise<VerifiedToken | undefined> {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(hash);
    if (known !== undefined) return known;
    const verified = await verifyToken(this.#options.key, token);
    if (verified === undefined) return undefined;
    if (this.#verified.size >= mostRemembered) this.#verified.clear();
    this.#verified.set(hash, verified);
    return verified;
  }

  async #isBound({ subject: { namespace, serviceAccount, secret } }: VerifiedToken): Promise<boolean> {
    if (!(await this.#exists('serviceaccounts', namespace, serviceAccount))) return false;
    return secret === undefined || this.#exists('secrets', namespace, secret);
  }

  async #exists(resource: string, namespace: string, { name, uid }: ObjectIdentity): Promise<boolean> {
    const prefix = `${registryRoot}${resource}/`;
    const cached = this.#options.catalogue.cacheOf(prefix).latest(`${prefix}${namespace}/${name}`);
    if (cached !== undefined) {
      const { uid: storedUid, deletionTimestamp } = cached.object.metadata;
      if (storedUid === uid) return deletionTimestamp === undefined;
    }
    // It may have been made by another server a moment ago.
    return this.#existsInStore(resource, { namespace, name }, uid);
  }

  async #existsInStore(resource: string, key: ObjectKey, uid: string): Promise<boolean> {
    try {
      const stored = await this.#options.catalogue.find('', 'v1', resource)?.get(key);
      const metadata = stored?.object.metadata;
      return metadata?.uid === uid && metadata.deletionTimestamp === undefined;
    } catch (error) {
      if (error instanceof StatusError && error.code === 404) return false;
      throw error;
    }
  }
}

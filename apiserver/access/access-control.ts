/** Who asks, and may they: certificates, tokens, impersonation and RBAC put together, over the state that the catalogue follows. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Logger } from '../../runtime/logger.ts';
import type { Catalogue } from '../registry/catalogue.ts';
import { clusterRolesPrefix } from '../registry/rbac-types.ts';
import type { CheckedWrite } from '../registry/resource-context.ts';
import type { UserInfo } from '../registry/resource.ts';
import { checkSigning } from './check-signing.ts';
import { anonymousUser, authenticate } from './authenticate.ts';
import { forbidden, type Attributes } from './authorize.ts';
import { readImpersonation } from './impersonate.ts';
import { AggregatedRoles } from './rbac/aggregated-roles.ts';
import { applyBootstrapPolicy, readBootstrapPolicy } from './rbac/bootstrap-policy.ts';
import { checkEscalation } from './rbac/check-escalation.ts';
import { followPolicy, latestRole } from './rbac/policy-feed.ts';
import { PolicyIndex } from './rbac/policy-index.ts';
import { RbacAuthorizer } from './rbac/rbac-authorizer.ts';
import { rbacGroup } from './rbac/policy.ts';
import { createAccessReviews } from './reviews/access-reviews.ts';
import { createIdentityReviews } from './reviews/identity-reviews.ts';
import { openTokenKey, type TokenKey } from './service-account-tokens.ts';
import { TokenAuthenticator } from './token-authenticator.ts';
import { TokenIssuer } from './token-issuer.ts';

export interface AccessControlOptions {
  /** Where the key that signs tokens is kept. */
  pkiDirectory: string;
  logger: Logger;
  /** Milliseconds since the epoch. */
  nowMs: () => number;
}

export interface Requester {
  /** In whose name the request is answered. */
  user: UserInfo;
  /** Who sent it, where that is another. */
  impersonator?: UserInfo;
}

/** Begins with denying everybody but masters; {@link AccessControl.start} makes it whole. */
export class AccessControl {
  readonly #options: AccessControlOptions;
  readonly #key: TokenKey;
  readonly #index = new PolicyIndex();
  readonly #authorizer = new RbacAuthorizer(this.#index);
  #catalogue: Catalogue | undefined;
  #tokens: TokenAuthenticator | undefined;
  #issuer: TokenIssuer | undefined;
  #aggregation: AggregatedRoles | undefined;

  private constructor(options: AccessControlOptions, key: TokenKey) {
    this.#options = options;
    this.#key = key;
  }

  static async open(options: AccessControlOptions): Promise<AccessControl> {
    return new AccessControl(options, await openTokenKey(options.pkiDirectory));
  }

  /** For a catalogue that was started. Resolves when the roles that come with the server are in force. */
  async start(catalogue: Catalogue): Promise<void> {
    const { logger, nowMs } = this.#options;
    const cacheOf = (prefix: string): ReturnType<Catalogue['cacheOf']> => catalogue.cacheOf(prefix);
    this.#catalogue = catalogue;
    this.#tokens = new TokenAuthenticator({ key: this.#key, catalogue });
    this.#issuer = new TokenIssuer({ key: this.#key, catalogue, nowMs });
    catalogue.serve([...createAccessReviews(this.#authorizer), ...createIdentityReviews({ tokens: this.#tokens, nowMs })]);
    followPolicy(this.#index, cacheOf);
    await applyBootstrapPolicy(catalogue, await readBootstrapPolicy());
    const clusterRoles = catalogue.find(rbacGroup, 'v1', 'clusterroles');
    if (clusterRoles === undefined) throw new TypeError('clusterroles are no built-in type');
    this.#aggregation = new AggregatedRoles({ cache: cacheOf(clusterRolesPrefix), clusterRoles, logger });
    await catalogue.catchUp();
    await this.#aggregation.start();
    await catalogue.catchUp();
  }

  async close(): Promise<void> {
    await this.#aggregation?.close();
  }

  /** For the registry: refuses grants of what their maker does not hold, and approvals and certificates by those who may not give them. */
  checkWrite(write: CheckedWrite): void {
    const { definition, object, old, options } = write;
    const findRole = (namespace: string | undefined, name: string): ReturnType<typeof latestRole> =>
      latestRole((prefix) => this.#catalogue?.cacheOf(prefix), namespace, name);
    checkEscalation({ authorizer: this.#authorizer, findRole }, { definition, object, old, user: options.user });
    checkSigning(this.#authorizer, write);
  }

  /** Who sent the request; undefined when what it shows does not hold: 401. */
  async identify(request: IncomingMessage, nowMs: number): Promise<UserInfo | undefined> {
    const user = authenticate(request.socket as TLSSocket, nowMs);
    const { authorization } = request.headers;
    // A certificate goes before a token.
    if (user !== anonymousUser || authorization === undefined) return user;
    // Who shows something that nobody knows is not nobody, but somebody who cannot be believed.
    const token = /^bearer +([^ ]+) *$/iu.exec(authorization)?.[1];
    return token === undefined ? undefined : (await this.#tokens?.authenticate(token, nowMs))?.user;
  }

  /** In whose name it is to be answered. Throws 403 for a name that the sender may not use. */
  impersonate(sender: UserInfo, request: IncomingMessage): Requester {
    const impersonation = readImpersonation(request.headersDistinct);
    if (impersonation === undefined) return { user: sender };
    for (const need of impersonation.needs) this.require(sender, need);
    return { user: impersonation.user, impersonator: sender };
  }

  /** Throws 403 in the words of kube-apiserver. */
  require(user: UserInfo, attributes: Attributes): void {
    const { allowed, reason } = this.#authorizer.authorize(user, attributes);
    if (!allowed) throw forbidden(user, attributes, reason);
  }

  /** Makes tokens of ServiceAccounts. */
  get tokenIssuer(): TokenIssuer {
    if (this.#issuer === undefined) throw new TypeError('access control was not started');
    return this.#issuer;
  }
}

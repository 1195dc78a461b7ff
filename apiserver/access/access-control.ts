/** Who asks, and may they: certificates, tokens, impersonation, relationships and RBAC put together, over the state that the catalogue follows. */
import type { IncomingMessage } from 'node:http';
import type { Logger } from '../../runtime/logger.ts';
import type { Catalogue } from '../registry/catalogue.ts';
import { clusterRolesPrefix } from '../registry/rbac-types.ts';
import type { CheckedWrite } from '../registry/resource-context.ts';
import type { Recheck, UserInfo } from '../registry/resource.ts';
import { forbidden, type Attributes } from './authorize.ts';
import { Authorizer } from './authorizer.ts';
import { checkSigning } from './check-signing.ts';
import { readImpersonation } from './impersonate.ts';
import { AggregatedRoles } from './rbac/aggregated-roles.ts';
import { applyBootstrapPolicy, readBootstrapPolicy, readRetiredPolicy, removeRetiredPolicy } from './rbac/bootstrap-policy.ts';
import { checkEscalation } from './rbac/check-escalation.ts';
import { followPolicy, latestRole } from './rbac/policy-feed.ts';
import { PolicyIndex } from './rbac/policy-index.ts';
import { RbacAuthorizer } from './rbac/rbac-authorizer.ts';
import { rbacGroup } from './rbac/policy.ts';
import { readAccessConfiguration } from './relations/access-configuration.ts';
import { compileAccess, type SubjectType } from './relations/compile-access.ts';
import { RelationAuthorizer } from './relations/relation-authorizer.ts';
import { RelationFeed } from './relations/relation-feed.ts';
import { RelationIndex } from './relations/relation-index.ts';
import { RequestAuthenticator, type Identification, type SentRequest } from './request-authenticator.ts';
import { createAccessReviews } from './reviews/access-reviews.ts';
import { createIdentityReviews } from './reviews/identity-reviews.ts';
import { openTokenKey, type TokenKey } from './service-account-tokens.ts';
import { TokenAuthenticator } from './token-authenticator.ts';
import { TokenIssuer } from './token-issuer.ts';

export interface AccessControlOptions {
  /** Where the key that signs tokens is kept. */
  pkiDirectory: string;
  /** Default: `manifests/access.yaml`. */
  configFile?: string;
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
  readonly #policy = new PolicyIndex();
  readonly #roles = new RbacAuthorizer(this.#policy);
  readonly #relations: RelationIndex;
  readonly #related: RelationAuthorizer;
  readonly #authorizer: Authorizer;
  #catalogue: Catalogue | undefined;
  #feed: RelationFeed | undefined;
  #authenticator: RequestAuthenticator | undefined;
  #issuer: TokenIssuer | undefined;
  #aggregation: AggregatedRoles | undefined;

  private constructor(options: AccessControlOptions, key: TokenKey, subjects: readonly SubjectType[]) {
    this.#options = options;
    this.#key = key;
    this.#relations = new RelationIndex(subjects, (user) => this.#cut(user));
    this.#related = new RelationAuthorizer(this.#relations, (prefix) => this.#catalogue?.cacheOf(prefix));
    this.#authorizer = new Authorizer(this.#related, this.#roles);
  }

  /** Throws `BAD_ARGUMENT` for a configuration that is wrong, `STATE_DAMAGED`. */
  static async open(options: AccessControlOptions): Promise<AccessControl> {
    const configuration = await readAccessConfiguration(options.configFile);
    return new AccessControl(options, await openTokenKey(options.pkiDirectory), compileAccess(configuration));
  }

  /** For a catalogue that was started. Resolves when the roles that come with the server are in force. */
  async start(catalogue: Catalogue): Promise<void> {
    const { logger, nowMs } = this.#options;
    const cacheOf = (prefix: string): ReturnType<Catalogue['cacheOf']> => catalogue.cacheOf(prefix);
    this.#catalogue = catalogue;
    const tokens = new TokenAuthenticator({ key: this.#key, catalogue });
    const catchUp = (): Promise<void> => catalogue.catchUp();
    this.#authenticator = new RequestAuthenticator({ key: this.#key, index: this.#relations, tokens, catchUp });
    this.#issuer = new TokenIssuer({ key: this.#key, catalogue, nowMs });
    catalogue.serve([...createAccessReviews(this.#authorizer), ...createIdentityReviews({ tokens, nowMs })]);
    followPolicy(this.#policy, cacheOf);
    this.#feed = new RelationFeed({ index: this.#relations, cacheOf, logger });
    await applyBootstrapPolicy(catalogue, await readBootstrapPolicy());
    await removeRetiredPolicy(catalogue, await readRetiredPolicy());
    const clusterRoles = catalogue.find(rbacGroup, 'v1', 'clusterroles');
    if (clusterRoles === undefined) throw new TypeError('clusterroles are no built-in type');
    this.#aggregation = new AggregatedRoles({ cache: cacheOf(clusterRolesPrefix), clusterRoles, logger });
    await catalogue.catchUp();
    await this.#aggregation.start();
    await catalogue.catchUp();
  }

  async close(): Promise<void> {
    this.#feed?.close();
    await this.#aggregation?.close();
  }

  /** For the registry: refuses grants of what their maker does not hold, and approvals and certificates by those who may not give them. */
  checkWrite(write: CheckedWrite): void {
    const { definition, object, old, options } = write;
    const findRole = (namespace: string | undefined, name: string): ReturnType<typeof latestRole> =>
      latestRole((prefix) => this.#catalogue?.cacheOf(prefix), namespace, name);
    checkEscalation({ authorizer: this.#roles, findRole }, { definition, object, old, user: options.user });
    checkSigning(this.#roles, write);
  }

  /** Who sent the request. */
  async identify(sent: SentRequest): Promise<Identification> {
    return (await this.#authenticator?.identify(sent)) ?? {};
  }

  /** In whose name it is to be answered. Throws 403 for a name that the sender may not use. */
  impersonate(sender: UserInfo, request: IncomingMessage): Requester {
    const impersonation = readImpersonation(request.headersDistinct);
    if (impersonation === undefined) return { user: sender };
    for (const need of impersonation.needs) this.require(sender, need);
    return { user: impersonation.user, impersonator: sender };
  }

  /** Throws 403 in the words of kube-apiserver. Answers what admission is to ask of the object where a relationship alone allows a write. */
  require(user: UserInfo, attributes: Attributes): Recheck | undefined {
    const { allowed, reason, byRelation } = this.#authorizer.authorize(user, attributes);
    if (!allowed) throw forbidden(user, attributes, reason);
    if (byRelation === undefined || attributes.kind === 'path') return undefined;
    return ({ name, object, oldObject }) => {
      const states = [object, oldObject].filter((state) => state !== undefined);
      const decision = this.#related.holdsFor(user, attributes, states);
      if (!decision.allowed) throw forbidden(user, { ...attributes, name }, decision.reason);
    };
  }

  /** Makes tokens of ServiceAccounts. */
  get tokenIssuer(): TokenIssuer {
    if (this.#issuer === undefined) throw new TypeError('access control was not started');
    return this.#issuer;
  }

  /** Whoever stands for an object is nobody from the moment that it goes. */
  #cut(user: string): void {
    const count = this.#authenticator?.cut(user) ?? 0;
    if (count > 0) this.#options.logger.info('connections were cut: what their user stands for is gone or revoked', { user, count });
  }
}

/** Who may do what, by everything that decides: masters, then relationships, then roles. The first that allows, allows. */
import type { UserInfo } from '../registry/resource.ts';
import type { Attributes, Decision } from './authorize.ts';
import { isMaster, type HeldRules, type RbacAuthorizer } from './rbac/rbac-authorizer.ts';
import type { RelationAuthorizer } from './relations/relation-authorizer.ts';

export interface FullDecision extends Decision {
  /** Set when a relationship alone allows a write: then admission asks it again, of the object. */
  byRelation?: true;
}

const writes: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete']);

export class Authorizer {
  readonly #relations: RelationAuthorizer;
  readonly #roles: RbacAuthorizer;

  constructor(relations: RelationAuthorizer, roles: RbacAuthorizer) {
    this.#relations = relations;
    this.#roles = roles;
  }

  authorize(user: UserInfo, attributes: Attributes): FullDecision {
    if (isMaster(user)) return { allowed: true, reason: '' };
    const related = this.#relations.authorize(user, attributes);
    if (related.allowed && !writes.has(attributes.verb)) return related;
    const byRoles = this.#roles.authorize(user, attributes);
    if (byRoles.allowed) return byRoles;
    if (related.allowed) return { ...related, byRelation: true };
    return byRoles.reason === '' ? related : byRoles;
  }

  /** By roles; what relationships give depends on objects, and cannot be listed. */
  rulesFor(user: UserInfo, namespace: string | undefined): HeldRules {
    const held = this.#roles.rulesFor(user, namespace);
    if (isMaster(user) || !this.#relations.concerns(user)) return held;
    return { ...held, errors: [...held.errors, 'the relationship authorizer does not list rules'] };
  }
}

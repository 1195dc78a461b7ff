/** Who may do what, by the roles and bindings that are stored. What nothing allows is denied. */
import { mastersGroup } from '../../../api/names.ts';
import type { UserInfo } from '../../registry/resource.ts';
import type { Attributes, Decision } from '../authorize.ts';
import type { Grant, PolicyIndex } from './policy-index.ts';
import type { PolicyRule } from './policy.ts';
import { ruleAllows } from './rule-allows.ts';

export interface HeldRules {
  rules: PolicyRule[];
  /** Bindings whose roles do not exist; what those would give is not known. */
  errors: string[];
}

interface UserGrants {
  everywhere: readonly Grant[];
  byNamespace: Map<string, readonly Grant[]>;
}

/** Users whose grants are remembered. */
const mostUsers = 2048;

export class RbacAuthorizer {
  readonly #index: PolicyIndex;
  /** The users asked about since the last change of any role or binding. */
  readonly #users = new Map<string, UserGrants>();
  #generation = -1;

  constructor(index: PolicyIndex) {
    this.#index = index;
  }

  authorize(user: UserInfo, attributes: Attributes): Decision {
    // Before RBAC is looked at, so that nothing stored can lock the owner out.
    if (isMaster(user)) return { allowed: true, reason: '' };
    const everywhere = this.#grants(user, undefined);
    const namespace = attributes.kind === 'resource' ? (attributes.namespace ?? '') : '';
    const here = namespace === '' ? [] : this.#grants(user, namespace);
    const grant = findGrant(everywhere, attributes) ?? findGrant(here, attributes);
    if (grant !== undefined) return { allowed: true, reason: `RBAC: allowed by ${grant.description}` };
    return { allowed: false, reason: reasonOf(errorsOf([everywhere, here])) };
  }

  /** What the user holds in a namespace, cluster-wide rights included; those alone without one. */
  rulesFor(user: UserInfo, namespace: string | undefined): HeldRules {
    const lists = [this.#grants(user, undefined), namespace === undefined ? [] : this.#grants(user, namespace)];
    return { rules: lists.flat().flatMap(({ rules }) => rules), errors: errorsOf(lists) };
  }

  #grants(user: UserInfo, namespace: string | undefined): readonly Grant[] {
    const known = this.#grantsOf(user);
    if (namespace === undefined) return known.everywhere;
    let grants = known.byNamespace.get(namespace);
    if (grants === undefined) {
      grants = this.#index.grantsOf(user, namespace);
      // Only namespaces that give something: users can ask about any number of others.
      if (grants.length > 0) known.byNamespace.set(namespace, grants);
    }
    return grants;
  }

  #grantsOf(user: UserInfo): UserGrants {
    if (this.#generation !== this.#index.generation) {
      this.#generation = this.#index.generation;
      this.#users.clear();
    }
    const key = JSON.stringify([user.name, user.groups]);
    let known = this.#users.get(key);
    if (known === undefined) {
      if (this.#users.size >= mostUsers) this.#users.clear();
      known = { everywhere: this.#index.grantsOf(user, undefined), byNamespace: new Map() };
      this.#users.set(key, known);
    }
    return known;
  }
}

/** They may do everything, and grant everything. */
export function isMaster(user: UserInfo): boolean {
  return user.groups.includes(mastersGroup);
}

function findGrant(grants: readonly Grant[], attributes: Attributes): Grant | undefined {
  return grants.find(({ rules }) => rules.some((rule) => ruleAllows(rule, attributes)));
}

function errorsOf(lists: readonly (readonly Grant[])[]): string[] {
  return [...new Set(lists.flat().flatMap(({ error }) => (error === undefined ? [] : [error])))];
}

function reasonOf(errors: readonly string[]): string {
  if (errors.length === 0) return '';
  return `RBAC: ${errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]`}`;
}

/** Roles and bindings, kept so that what one user holds in one namespace is found without looking at anybody else's. No clock, no I/O. */
import type { UserInfo } from '../../registry/resource.ts';
import { serviceAccountUser } from '../service-account-names.ts';
import { rbacGroup, rulesOf, type BindingObject, type PolicyRule, type RoleObject, type Subject } from './policy.ts';

/** A binding that names the user, with the rules that it gives; `error` instead when its role does not exist. */
export interface Grant {
  rules: readonly PolicyRule[];
  /** As Kubernetes' reasons name it. */
  description: string;
  error?: string;
}

interface IndexedBinding {
  binding: BindingObject;
  subject: Subject;
}

/** Stands for cluster-scoped bindings where a namespace stands for others. */
const clusterScope = '';

export class PolicyIndex {
  readonly #roles = new Map<string, RoleObject>();
  readonly #bindings = new Map<string, BindingObject>();
  /** By subject, then by scope, then by the binding's key. */
  readonly #bySubject = new Map<string, Map<string, Map<string, IndexedBinding>>>();
  #generation = 0;

  /** Grows with every change. */
  get generation(): number {
    return this.#generation;
  }

  /** `role` is absent when it was deleted. */
  setRole(namespace: string | undefined, name: string, role: RoleObject | undefined): void {
    const key = roleKey(namespace, name);
    if (role === undefined) this.#roles.delete(key);
    else this.#roles.set(key, role);
    this.#generation += 1;
  }

  role(namespace: string | undefined, name: string): RoleObject | undefined {
    return this.#roles.get(roleKey(namespace, name));
  }

  /** `binding` is absent when it was deleted. */
  setBinding(namespace: string | undefined, name: string, binding: BindingObject | undefined): void {
    const scope = namespace ?? clusterScope;
    const key = `${scope}/${name}`;
    const old = this.#bindings.get(key);
    for (const subject of old?.subjects ?? []) this.#unindex(subjectKey(subject, scope), scope, key);
    this.#bindings.delete(key);
    if (binding !== undefined) {
      this.#bindings.set(key, binding);
      for (const subject of binding.subjects ?? []) this.#index(subjectKey(subject, scope), scope, key, { binding, subject });
    }
    this.#generation += 1;
  }

  /** What the user's bindings give everywhere, or, with a namespace, what those in it give there. */
  grantsOf(user: UserInfo, namespace: string | undefined): Grant[] {
    const scope = namespace ?? clusterScope;
    const found = new Map<string, IndexedBinding>();
    for (const subject of [`User ${user.name}`, ...user.groups.map((group) => `Group ${group}`)]) {
      for (const [key, indexed] of this.#bySubject.get(subject)?.get(scope) ?? []) if (!found.has(key)) found.set(key, indexed);
    }
    return [...found.values()].map((indexed) => this.#grantOf(indexed, namespace));
  }

  #grantOf({ binding, subject }: IndexedBinding, namespace: string | undefined): Grant {
    const { kind, name } = binding.roleRef;
    const role = this.role(kind === 'ClusterRole' ? undefined : namespace, name);
    const description = describe(binding, subject, namespace);
    if (role === undefined)
      return { rules: [], description, error: `${kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(name)} not found` };
    return { rules: rulesOf(role), description };
  }

  #index(subject: string | undefined, scope: string, key: string, indexed: IndexedBinding): void {
    if (subject === undefined) return;
    const scopes = this.#bySubject.get(subject) ?? new Map<string, Map<string, IndexedBinding>>();
    const bindings = scopes.get(scope) ?? new Map<string, IndexedBinding>();
    bindings.set(key, indexed);
    scopes.set(scope, bindings);
    this.#bySubject.set(subject, scopes);
  }

  #unindex(subject: string | undefined, scope: string, key: string): void {
    if (subject === undefined) return;
    const scopes = this.#bySubject.get(subject);
    const bindings = scopes?.get(scope);
    bindings?.delete(key);
    if (bindings?.size === 0) scopes?.delete(scope);
    if (scopes?.size === 0) this.#bySubject.delete(subject);
  }
}

function roleKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? clusterScope}/${name}`;
}

/** Undefined for a subject that can be nobody. */
function subjectKey({ kind, name, namespace = '' }: Subject, scope: string): string | undefined {
  if (kind === 'User' || kind === 'Group') return `${kind} ${name}`;
  const home = namespace === '' ? scope : namespace;
  return kind === 'ServiceAccount' && home !== '' ? `User ${serviceAccountUser(home, name)}` : undefined;
}

function describe(binding: BindingObject, subject: Subject, namespace: string | undefined): string {
  const quote = (text: string): string => JSON.stringify(text);
  const { roleRef, metadata } = binding;
  const { name = '' } = metadata;
  const place = namespace === undefined ? `ClusterRoleBinding ${quote(name)}` : `RoleBinding ${quote(`${name}/${namespace}`)}`;
  const home = subject.namespace ?? namespace ?? '';
  const who = quote(subject.kind === 'ServiceAccount' ? `${subject.name}/${home}` : subject.name);
  return `${place} of ${roleRef.kind} ${quote(roleRef.name)} to ${subject.kind} ${who}`;
}

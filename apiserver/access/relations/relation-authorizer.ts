/** Whether what a request asks for belongs to the object that its user stands for. What this does not allow, roles may. */
import type { KubernetesObject } from '../../../api/object.ts';
import { objectKey } from '../../registry/storage-keys.ts';
import type { UserInfo } from '../../registry/resource.ts';
import type { WatchCache } from '../../registry/watch-cache.ts';
import type { Attributes, Decision, ResourceAttributes } from '../authorize.ts';
import { targetOf, type Rule, type SubjectType } from './compile-access.ts';
import { valueAtPath } from './field-path.ts';
import type { RelationIndex, Subject } from './relation-index.ts';

/** The states of an object that a write is about: what is there, what is to be there. */
export type WrittenStates = readonly unknown[];

interface Asker {
  user: UserInfo;
  subject: Subject;
  inRecovery: boolean;
}

const nothing: Decision = { allowed: false, reason: '' };

export class RelationAuthorizer {
  readonly #index: RelationIndex;
  readonly #cacheOf: (prefix: string) => WatchCache | undefined;

  constructor(index: RelationIndex, cacheOf: (prefix: string) => WatchCache | undefined) {
    this.#index = index;
    this.#cacheOf = cacheOf;
  }

  /** Whether the user is one that stands for objects. */
  concerns(user: UserInfo): boolean {
    return this.#typeOf(user) !== undefined;
  }

  /** A creation whose URL has no name is allowed for now: {@link holdsFor} is to be asked of the object. */
  authorize(user: UserInfo, attributes: Attributes): Decision {
    if (attributes.kind === 'path') return nothing;
    const asker = this.#askerOf(user, attributes);
    if (asker === undefined || 'reason' in asker) return asker ?? nothing;
    const { subject } = asker;
    const rules = this.#rulesFor(asker, attributes);
    if (rules.some((rule) => this.#fits(rule, asker, attributes) && this.#concernsOwn(rule, asker, attributes))) {
      return { allowed: true, reason: '' };
    }
    const target = targetOf(attributes);
    const isReadable = !asker.inRecovery && subject.type.readable.get(target)?.has(attributes.verb) === true;
    if (isReadable) {
      const { namespace = '', name = '' } = attributes;
      if (this.#index.isNamed(subject, target, { namespace, name })) return { allowed: true, reason: '' };
    }
    return isReadable || rules.length > 0 ? { allowed: false, reason: refusal(asker, attributes, rules) } : nothing;
  }

  /** Whether a write that {@link authorize} allowed is allowed in view of the object, of each state of it. */
  holdsFor(user: UserInfo, attributes: ResourceAttributes, states: WrittenStates): Decision {
    const asker = this.#askerOf(user, attributes);
    if (asker === undefined || 'reason' in asker) return asker ?? nothing;
    const rules = this.#rulesFor(asker, attributes);
    const holds = rules.some((rule) => this.#fits(rule, asker, attributes) && states.every((state) => isOwn(rule, asker, state)));
    return holds ? { allowed: true, reason: '' } : { allowed: false, reason: noRelationship(asker.subject) };
  }

  #typeOf({ name, groups }: UserInfo): SubjectType | undefined {
    const type = this.#index.split(name)?.type;
    if (type === undefined) return undefined;
    return groups.includes(type.group) || (type.recovery !== undefined && groups.includes(type.recovery.group)) ? type : undefined;
  }

  /** The refusal of a user whose object is not there; undefined for users that the request gives nothing to ask about. */
  #askerOf(user: UserInfo, attributes: ResourceAttributes): Asker | Decision | undefined {
    const type = this.#typeOf(user);
    if (type === undefined) return undefined;
    const subject = this.#index.find({ type, key: user.name.slice(type.userPrefix.length) });
    const inRecovery = !user.groups.includes(type.group);
    if (subject?.alive === true) return { user, subject, inRecovery };
    const target = targetOf(attributes);
    const isMeant = type.rules.has(target) || type.readable.has(target);
    return isMeant ? { allowed: false, reason: `unknown ${type.name} for user ${JSON.stringify(user.name)}` } : undefined;
  }

  #rulesFor({ subject, inRecovery }: Asker, attributes: ResourceAttributes): Rule[] {
    const rules = subject.type.rules.get(targetOf(attributes)) ?? [];
    return rules.filter((rule) => rule.verbs.has(attributes.verb) && (rule.inRecovery || !inRecovery));
  }

  /** Whether the rule is about the place of the request. */
  #fits(rule: Rule, { subject }: Asker, { namespace = '' }: ResourceAttributes): boolean {
    if (rule.namespace !== undefined && rule.namespace !== namespace) return false;
    if (rule.namespacesOf === undefined) return true;
    return namespace !== '' && (rule.namespaces.has(namespace) || this.#index.reaches(rule.namespacesOf, subject, namespace));
  }

  /** Whether every object that the request reaches is the subject's, as far as can be told before it is looked at. */
  #concernsOwn(rule: Rule, asker: Asker, attributes: ResourceAttributes): boolean {
    const { verb, name } = attributes;
    if (verb === 'create' && name === undefined) return true;
    if (rule.named && name !== asker.subject.name) return false;
    const { relation, whereUser } = rule;
    if (relation !== undefined && !this.#isRelated(relation, asker.subject.key, attributes)) return false;
    if (whereUser === undefined) return true;
    if (attributes.selectedFields?.get(whereUser.field) === asker.user.name) return true;
    // Who made an object never changes: a watch of it cannot come to show somebody else's.
    return valueAtPath(this.#present(whereUser.prefix, attributes), whereUser.path) === asker.user.name;
  }

  #isRelated(relation: NonNullable<Rule['relation']>, key: string, attributes: ResourceAttributes): boolean {
    const { verb, selectedFields } = attributes;
    if ((verb === 'list' || verb === 'watch') && selectedFields?.get(relation.field) === key) return true;
    // A watch goes on when the object has become another's: only the selector ends what it shows.
    return verb !== 'watch' && valueAtPath(this.#present(relation.prefix, attributes), relation.path) === key;
  }

  #present(prefix: string, { namespace, name }: ResourceAttributes): KubernetesObject | undefined {
    if (name === undefined) return undefined;
    return this.#cacheOf(prefix)?.latest(objectKey(prefix, namespace === undefined ? { name } : { namespace, name }))?.object;
  }
}

function isOwn(rule: Rule, { user, subject }: Asker, state: unknown): boolean {
  if (rule.named) {
    if (
      valueAtPath(state, [
        { key: 'metadata', list: false },
        { key: 'name', list: false },
      ]) !== subject.name
    )
      return false;
    // Another object may have taken the name.
    if (rule.own && valueAtPath(state, subject.type.key) !== subject.key) return false;
  }
  if (rule.relation !== undefined && valueAtPath(state, rule.relation.path) !== subject.key) return false;
  return rule.whereUser === undefined || valueAtPath(state, rule.whereUser.path) === user.name;
}

function refusal({ subject }: Asker, { verb, name }: ResourceAttributes, rules: readonly Rule[]): string {
  const selectable = rules.find(({ relation }) => relation !== undefined);
  if ((verb === 'watch' || (verb === 'list' && name === undefined)) && selectable?.relation !== undefined) {
    return `can only list and watch ${selectable.resource} with field selector ${JSON.stringify(`${selectable.relation.field}=${subject.key}`)}`;
  }
  return noRelationship(subject);
}

function noRelationship({ type, name }: Subject): string {
  return `no relationship found between ${type.name} ${JSON.stringify(name)} and this object`;
}

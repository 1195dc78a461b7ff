/** The access configuration, made ready for questions: paths split, rules found by resource and verb. */
import { builtinTypes } from '../../registry/builtin-types.ts';
import { resourcePrefix } from '../../registry/storage-keys.ts';
import type { AccessConfiguration, RuleConfiguration, SubjectConfiguration, TokenConfiguration } from './access-configuration-schema.ts';
import { parseFieldPath, type FieldPath } from './field-path.ts';

/** Objects whose value at a path is the key of a subject. */
export interface Relation {
  /** Of the objects' keys in the store. */
  prefix: string;
  path: FieldPath;
  /** As field selectors name it. */
  field: string;
  names: readonly { target: string; paths: readonly FieldPath[] }[];
}

export interface Rule {
  /** In its plural, for messages. */
  resource: string;
  verbs: ReadonlySet<string>;
  named: boolean;
  /** Whether the objects are those that the subjects are themselves. */
  own: boolean;
  relation: Relation | undefined;
  whereUser: { prefix: string; path: FieldPath; field: string } | undefined;
  namespace: string | undefined;
  namespacesOf: Relation | undefined;
  namespaces: ReadonlySet<string>;
  inRecovery: boolean;
}

export interface TokenRules {
  prefix: string;
  hash: FieldPath;
  expires: FieldPath;
  uses: FieldPath;
  claims: FieldPath;
  /** What a spent token reads: this resource, by these verbs, of these names. */
  reads: { target: string; verbs: ReadonlySet<string>; names: FieldPath };
}

export interface SubjectType {
  name: string;
  userPrefix: string;
  group: string;
  /** Of the objects' keys in the store. */
  prefix: string;
  key: FieldPath;
  revoked: FieldPath | undefined;
  nameExtra: string | undefined;
  recovery: { key: FieldPath; group: string } | undefined;
  token: TokenRules | undefined;
  relations: readonly Relation[];
  /** By group, resource and subresource: see {@link targetOf}. */
  rules: ReadonlyMap<string, readonly Rule[]>;
  /** What related objects can make readable, with the verbs. */
  readable: ReadonlyMap<string, ReadonlySet<string>>;
}

/** How rules are found: by group, resource and subresource. */
export function targetOf({ group, resource, subresource = '' }: { group: string; resource: string; subresource?: string }): string {
  return subresource === '' ? `${group}/${resource}` : `${group}/${resource}/${subresource}`;
}

export function compileAccess({ subjects }: AccessConfiguration): readonly SubjectType[] {
  return subjects.map(compileSubject);
}

function compileSubject(subject: SubjectConfiguration): SubjectType {
  const { name, userPrefix, group, object, key, revoked, nameExtra, recovery, token } = subject;
  const relations = new Map<string, Relation>();
  for (const rule of subject.rules) addRelations(relations, rule, subject.rules);
  const rules = new Map<string, Rule[]>();
  for (const rule of subject.rules) {
    for (const text of rule.resources) {
      const target = parseResource(text);
      const compiled = compileRule(rule, target, relations, sameResource(target, object));
      rules.set(targetOf(target), [...(rules.get(targetOf(target)) ?? []), compiled]);
    }
  }
  return {
    name,
    userPrefix,
    group,
    prefix: prefixOf(object),
    key: parseFieldPath(key),
    revoked: revoked === undefined ? undefined : parseFieldPath(revoked),
    nameExtra,
    recovery: recovery === undefined ? undefined : { key: parseFieldPath(recovery.key), group: recovery.group },
    token: token === undefined ? undefined : compileToken(token),
    relations: [...relations.values()],
    rules,
    readable: readableOf(subject.rules),
  };
}

interface Target {
  group: string;
  resource: string;
  subresource?: string;
}

/** `group/resource/subresource`; a group has a dot, and what has none is of the core group. */
function parseResource(text: string): Target {
  const parts = text.split('/');
  const group = parts[0]?.includes('.') === true ? (parts.shift() ?? '') : '';
  const [resource = '', subresource] = parts;
  return { group, resource, ...(subresource === undefined ? {} : { subresource }) };
}

function sameResource(target: Target, object: { group: string; resource: string }): boolean {
  return target.group === object.group && target.resource === object.resource;
}

function relationKey({ group, resource }: Target, path: string): string {
  return `${group}/${resource} ${path}`;
}

/** One relation for each resource and path, with what all rules of it name. */
function addRelations(relations: Map<string, Relation>, rule: RuleConfiguration, all: readonly RuleConfiguration[]): void {
  const { where } = rule;
  if (where === undefined) return;
  for (const text of rule.resources) {
    const target = parseResource(text);
    const key = relationKey(target, where);
    if (relations.has(key)) continue;
    const others = all.filter(
      (other) => other.where === where && other.resources.some((each) => sameResource(parseResource(each), target)),
    );
    const names = others.flatMap((other) => other.names ?? []);
    relations.set(key, {
      prefix: prefixOf(target),
      path: parseFieldPath(where),
      field: where,
      names: names.map(({ resource, paths }) => ({ target: targetOf(parseResource(resource)), paths: paths.map(parseFieldPath) })),
    });
  }
}

function compileRule(rule: RuleConfiguration, target: Target, relations: ReadonlyMap<string, Relation>, own: boolean): Rule {
  const { verbs, named = false, where, whereUser, namespace, namespacesOf, namespaces = [], inRecovery = false } = rule;
  return {
    resource: target.resource,
    verbs: new Set(verbs),
    named,
    own,
    relation: where === undefined ? undefined : relations.get(relationKey(target, where)),
    whereUser: whereUser === undefined ? undefined : { prefix: prefixOf(target), path: parseFieldPath(whereUser), field: whereUser },
    namespace,
    namespacesOf: namespacesOf === undefined ? undefined : relationOf(relations, parseResource(namespacesOf)),
    namespaces: new Set(namespaces),
    inRecovery,
  };
}

function relationOf(relations: ReadonlyMap<string, Relation>, target: Target): Relation | undefined {
  return [...relations.values()].find(({ prefix }) => prefix === prefixOf(target));
}

function readableOf(rules: readonly RuleConfiguration[]): Map<string, ReadonlySet<string>> {
  const readable = new Map<string, ReadonlySet<string>>();
  for (const { resource, verbs } of rules.flatMap(({ names = [] }) => names)) {
    const target = targetOf(parseResource(resource));
    readable.set(target, new Set([...(readable.get(target) ?? []), ...verbs]));
  }
  return readable;
}

function compileToken({ prefix, hash, expires, uses, claims, reads }: TokenConfiguration): TokenRules {
  return {
    prefix,
    hash: parseFieldPath(hash),
    expires: parseFieldPath(expires),
    uses: parseFieldPath(uses),
    claims: parseFieldPath(claims),
    reads: { target: targetOf(parseResource(reads.resource)), verbs: new Set(reads.verbs), names: parseFieldPath(reads.names) },
  };
}

/** Where the objects of a resource lie in the store. */
function prefixOf({ group, resource }: Target): string {
  const builtin = builtinTypes.find((type) => type.group === group && type.resource === resource);
  return builtin?.prefix ?? resourcePrefix(group, resource);
}

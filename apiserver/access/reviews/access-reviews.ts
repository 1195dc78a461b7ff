/** `authorization.k8s.io`: who may do what, as a question (Kubernetes' `pkg/registry/authorization`). */
import { compileSchema } from '../../admission/compile-schema.ts';
import { invalidValue } from '../../admission/field-errors.ts';
import { isObject, objectAt, type JsonObject } from '../../admission/json-value.ts';
import type { JsonSchema } from '../../admission/structural-schema.ts';
import type { ResourceOperations, UserInfo } from '../../registry/resource.ts';
import { badRequest, type FieldError } from '../../registry/status-error.ts';
import { parseSelectedFields } from '../../../api/selector.ts';
import type { Attributes } from '../authorize.ts';
import type { PolicyRule } from '../rbac/policy.ts';
import type { Authorizer } from '../authorizer.ts';
import { createReview, reviewDefinition, reviewSchema } from './review-resource.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const open = (description: string): JsonSchema => ({
  type: 'object',
  nullable: true,
  description,
  'x-kubernetes-preserve-unknown-fields': true,
});

const questionFields: Record<string, JsonSchema> = {
  resourceAttributes: {
    type: 'object',
    nullable: true,
    description: 'ResourceAuthorizationAttributes describes information for a resource access request.',
    properties: {
      namespace: text('Namespace of the action; empty: all namespaces, or none for cluster-scoped resources.'),
      verb: text('Verb, like: get, list, watch, create, update, delete. "*" means all.'),
      group: text('API Group of the Resource. "*" means all.'),
      version: text('API Version of the Resource. "*" means all.'),
      resource: text('One of the existing resource types. "*" means all.'),
      subresource: text('One of the existing resource types. Empty means none.'),
      name: text('Name of the resource being requested for a "get" or deleted for a "delete". Empty means all.'),
      fieldSelector: open('Limits the question to some objects.'),
      labelSelector: open('Limits the question to some objects; it is not looked at.'),
    },
  },
  nonResourceAttributes: {
    type: 'object',
    nullable: true,
    description: 'NonResourceAttributes describes information for a non-resource access request.',
    properties: { path: text('Path is the URL path of the request.'), verb: text('Verb is the standard HTTP verb.') },
  },
};

const subjectFields: Record<string, JsonSchema> = {
  ...questionFields,
  user: text('User is the user you are testing for.'),
  groups: { type: 'array', nullable: true, items: { type: 'string' }, description: 'Groups is the groups you are testing for.' },
  uid: text('UID information about the requesting user.'),
  extra: {
    type: 'object',
    nullable: true,
    description: 'More of what is known of the user.',
    additionalProperties: { type: 'array', items: { type: 'string' } },
  },
};

interface Kind {
  kind: string;
  namespaced?: boolean;
  fields: Record<string, JsonSchema>;
  description: string;
}

function define({ kind, namespaced = false, fields, description }: Kind): ReturnType<typeof reviewDefinition> {
  const schema = compileSchema(reviewSchema(description, fields));
  return reviewDefinition({ group: 'authorization.k8s.io', resource: `${kind.toLowerCase()}s`, kind, namespaced, schema });
}

/** In the order of discovery. */
export function createAccessReviews(authorizer: Authorizer): ResourceOperations[] {
  const decide = (user: UserInfo, spec: JsonObject): JsonObject => {
    const { allowed, reason } = authorizer.authorize(user, attributesOf(spec));
    return { allowed, ...(reason === '' ? {} : { reason }) };
  };
  const local = { kind: 'LocalSubjectAccessReview', namespaced: true, fields: subjectFields };
  return [
    createReview(define({ ...local, description: 'Whether a user or group can perform an action in a given namespace.' }), {
      check: (spec) => [...subjectErrors(spec), ...localErrors(spec)],
      answer({ spec, namespace }) {
        const asked = objectAt(spec, 'resourceAttributes')?.['namespace'];
        if (asked !== namespace) throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace ?? ''}`);
        return decide(subjectOf(spec), spec);
      },
    }),
    createReview(
      define({ kind: 'SelfSubjectAccessReview', fields: questionFields, description: 'Whether the current user can perform an action.' }),
      { check: questionErrors, answer: ({ spec, user }) => decide(user, spec) },
    ),
    createReview(
      define({
        kind: 'SelfSubjectRulesReview',
        fields: { namespace: text('Namespace to evaluate rules for. Required.') },
        description: 'The set of actions that the current user can perform within a namespace.',
      }),
      { answer: ({ spec, user }) => rulesStatus(authorizer, spec, user) },
    ),
    createReview(
      define({ kind: 'SubjectAccessReview', fields: subjectFields, description: 'Whether a user or group can perform an action.' }),
      { check: subjectErrors, answer: ({ spec }) => decide(subjectOf(spec), spec) },
    ),
  ];
}

function questionErrors(spec: JsonObject): FieldError[] {
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  if (resource !== undefined && path !== undefined) {
    return [invalidValue('spec.nonResourceAttributes', path, 'cannot be specified in combination with resourceAttributes')];
  }
  if (resource !== undefined || path !== undefined) return [];
  return [invalidValue('spec.resourceAttributes', null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified')];
}

function subjectErrors(spec: JsonObject): FieldError[] {
  const { user = '', groups } = spec;
  const isNobody = user === '' && !(Array.isArray(groups) && groups.length > 0);
  const errors = questionErrors(spec);
  return isNobody ? [...errors, invalidValue('spec.user', user, 'at least one of user or group must be specified')] : errors;
}

function localErrors(spec: JsonObject): FieldError[] {
  const path = objectAt(spec, 'nonResourceAttributes');
  return path === undefined ? [] : [invalidValue('spec.nonResourceAttributes', path, 'disallowed on this kind of request')];
}

function subjectOf(spec: JsonObject): UserInfo {
  const { user, uid, groups, extra } = spec;
  return {
    name: textOf(user),
    ...(textOf(uid) === '' ? {} : { uid: textOf(uid) }),
    groups: Array.isArray(groups) ? (groups as string[]) : [],
    ...(isObject(extra) ? { extra: extra as Record<string, string[]> } : {}),
  };
}

function attributesOf(spec: JsonObject): Attributes {
  const path = objectAt(spec, 'nonResourceAttributes');
  if (path !== undefined) return { kind: 'path', verb: textOf(path['verb']), path: textOf(path['path']) };
  const asked = objectAt(spec, 'resourceAttributes') ?? {};
  const { verb, group, resource, subresource, namespace, name } = asked;
  const selectedFields = selectedFieldsOf(objectAt(asked, 'fieldSelector'));
  return {
    kind: 'resource',
    verb: textOf(verb),
    group: textOf(group),
    resource: textOf(resource),
    ...optional('subresource', subresource),
    ...optional('namespace', namespace),
    ...optional('name', name),
    ...(selectedFields.size === 0 ? {} : { selectedFields }),
  };
}

/** Of what a review asks, which takes a selector as text or as a list of requirements. */
function selectedFieldsOf(selector: JsonObject | undefined): ReadonlyMap<string, string> {
  const { rawSelector, requirements } = selector ?? {};
  if (typeof rawSelector === 'string' && rawSelector !== '') return parseSelectedFields(rawSelector);
  const terms = Array.isArray(requirements) ? (requirements as unknown[]).filter(isObject) : [];
  const single = terms.filter(({ operator, values }) => operator === 'In' && Array.isArray(values) && values.length === 1);
  return new Map(single.map(({ key, values }) => [textOf(key), textOf((values as unknown[])[0])]));
}

function rulesStatus(authorizer: Authorizer, spec: JsonObject, user: UserInfo): JsonObject {
  const namespace = textOf(spec['namespace']);
  if (namespace === '') throw badRequest('no namespace on request');
  const { rules, errors } = authorizer.rulesFor(user, namespace);
  return {
    resourceRules: rules.filter(({ resources = [] }) => resources.length > 0).map(resourceRule),
    nonResourceRules: rules
      .filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: errors.length > 0,
    ...(errors.length === 0 ? {} : { evaluationError: errors.join(', ') }),
  };
}

function resourceRule({ verbs, apiGroups, resources, resourceNames = [] }: PolicyRule): JsonObject {
  return { verbs, apiGroups, resources, ...(resourceNames.length === 0 ? {} : { resourceNames }) };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function optional<K extends string>(key: K, value: unknown): Partial<Record<K, string>> {
  const given = textOf(value);
  return given === '' ? {} : ({ [key]: given } as Partial<Record<K, string>>);
}

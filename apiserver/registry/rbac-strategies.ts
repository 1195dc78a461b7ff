/** Rules of roles and bindings, after Kubernetes' `pkg/apis/rbac/validation` and `pkg/apis/rbac/v1/defaults.go`. */
import { dnsSubdomainProblems, labelValueProblems, qualifiedNameProblems } from '../../api/name-rules.ts';
import { forbiddenField, invalidValue, requiredValue, unsupportedValue } from '../admission/field-errors.ts';
import { equalJson, isObject, objectAt, type JsonObject } from '../admission/json-value.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import type { FieldError } from './status-error.ts';

const rbacGroup = 'rbac.authorization.k8s.io';

const shared = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  // Names such as `system:discovery` are usual.
  nameRule: 'path-segment',
} as const;

export function roleStrategy(namespaced: boolean): ResourceStrategy {
  return {
    ...shared,
    validate: (role) => [
      ...listOf(role, 'rules').flatMap((rule, index) => ruleErrors(rule, `rules[${index}]`, namespaced)),
      ...(namespaced ? [] : aggregationErrors(role)),
    ],
  };
}

export function bindingStrategy(namespaced: boolean): ResourceStrategy {
  return {
    ...shared,
    decode: fillGroups,
    validate(binding, old) {
      const subjects = listOf(binding, 'subjects').flatMap((subject, index) => subjectErrors(subject, `subjects[${index}]`, namespaced));
      const errors = [...roleRefErrors(objectAt(binding, 'roleRef') ?? {}, namespaced), ...subjects];
      if (old === undefined || equalJson(old['roleRef'], binding['roleRef'])) return errors;
      return [...errors, invalidValue('roleRef', binding['roleRef'], 'cannot change roleRef')];
    },
  };
}

function fillGroups(binding: JsonObject): void {
  const roleRef = objectAt(binding, 'roleRef');
  if (roleRef !== undefined && isEmpty(roleRef['apiGroup'])) roleRef['apiGroup'] = rbacGroup;
  for (const subject of listOf(binding, 'subjects')) {
    if (isEmpty(subject['apiGroup']) && (subject['kind'] === 'User' || subject['kind'] === 'Group')) subject['apiGroup'] = rbacGroup;
  }
}

function ruleErrors(rule: JsonObject, field: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const count = (name: string): number => (Array.isArray(rule[name]) ? rule[name].length : 0);
  if (count('verbs') === 0) errors.push(requiredValue(`${field}.verbs`, 'verbs must contain at least one value'));
  if (count('nonResourceURLs') > 0) {
    const refuse = (why: string): number => errors.push(invalidValue(`${field}.nonResourceURLs`, rule['nonResourceURLs'], why));
    if (namespaced) refuse('namespaced rules cannot apply to non-resource URLs');
    if (count('apiGroups') > 0 || count('resources') > 0 || count('resourceNames') > 0) {
      refuse('rules cannot apply to both regular resources and non-resource URLs');
    }
    return errors;
  }
  if (count('apiGroups') === 0) errors.push(requiredValue(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  if (count('resources') === 0) errors.push(requiredValue(`${field}.resources`, 'resource rules must supply at least one resource'));
  return errors;
}

function aggregationErrors(role: JsonObject): FieldError[] {
  const aggregation = objectAt(role, 'aggregationRule');
  if (aggregation === undefined) return [];
  const field = 'aggregationRule.clusterRoleSelectors';
  const selectors = listOf(aggregation, 'clusterRoleSelectors');
  if (selectors.length === 0) return [requiredValue(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  return selectors.flatMap((selector, index) => selectorErrors(selector, `${field}[${index}]`));
}

function selectorErrors(selector: JsonObject, field: string): FieldError[] {
  const labels = Object.entries(objectAt(selector, 'matchLabels') ?? {}).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalidValue(`${field}.matchLabels`, key, problem)),
    ...labelValueProblems(String(value)).map((problem) => invalidValue(`${field}.matchLabels`, value, problem)),
  ]);
  const expressions = listOf(selector, 'matchExpressions').flatMap((expression, index) =>
    expressionErrors(expression, `${field}.matchExpressions[${index}]`),
  );
  return [...labels, ...expressions];
}

function expressionErrors({ key, operator, values }: JsonObject, field: string): FieldError[] {
  const problems = qualifiedNameProblems(typeof key === 'string' ? key : '').map((problem) => invalidValue(`${field}.key`, key, problem));
  const given = Array.isArray(values) ? values.length : 0;
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (given === 0) problems.push(requiredValue(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      return problems;
    case 'Exists':
    case 'DoesNotExist':
      if (given > 0) problems.push(forbiddenField(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      return problems;
    default:
      return [...problems, invalidValue(`${field}.operator`, operator, 'not a valid selector operator')];
  }
}

function roleRefErrors({ apiGroup, kind, name }: JsonObject, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (apiGroup !== rbacGroup) errors.push(unsupportedValue('roleRef.apiGroup', apiGroup ?? '', [rbacGroup]));
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(String(kind))) errors.push(unsupportedValue('roleRef.kind', kind ?? '', kinds));
  if (isEmpty(name)) errors.push(requiredValue('roleRef.name'));
  else if (typeof name === 'string' && /[/%]|^\.\.?$/u.test(name)) errors.push(invalidValue('roleRef.name', name, 'is no name of a role'));
  return errors;
}

function subjectErrors({ kind, apiGroup, name, namespace }: JsonObject, field: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (isEmpty(name)) errors.push(requiredValue(`${field}.name`));
  switch (kind) {
    case 'ServiceAccount':
      if (typeof name === 'string' && name !== '') {
        errors.push(...dnsSubdomainProblems(name).map((problem) => invalidValue(`${field}.name`, name, problem)));
      }
      if (!isEmpty(apiGroup)) errors.push(unsupportedValue(`${field}.apiGroup`, apiGroup, ['']));
      if (!namespaced && isEmpty(namespace)) errors.push(requiredValue(`${field}.namespace`));
      return errors;
    case 'User':
    case 'Group':
      if (apiGroup !== rbacGroup) errors.push(unsupportedValue(`${field}.apiGroup`, apiGroup, [rbacGroup]));
      return errors;
    default:
      return [...errors, unsupportedValue(`${field}.kind`, kind ?? '', ['ServiceAccount', 'User', 'Group'])];
  }
}

function listOf(object: JsonObject, field: string): JsonObject[] {
  const value = object[field];
  return Array.isArray(value) ? (value as unknown[]).filter(isObject) : [];
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}

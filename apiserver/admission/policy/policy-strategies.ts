/** Rules of admission policies and their bindings, after Kubernetes' `pkg/apis/admissionregistration/validation`. */
import { compilePolicy } from './compile-policy.ts';
import type {
  MatchResources,
  ResourceRule,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicySpec,
} from './policy-types.ts';
import { duplicateValue, forbiddenField, invalidValue, requiredValue } from '../field-errors.ts';
import type { JsonObject } from '../json-value.ts';
import type { ResourceStrategy } from '../../registry/resource-strategy.ts';
import type { FieldError } from '../../registry/status-error.ts';

const common = {
  countsGenerations: true,
  unconditionalUpdate: false,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
} as const;

/** Most match conditions of one policy, as in Kubernetes. */
const maxMatchConditions = 64;

export const admissionPolicyStrategy: ResourceStrategy = {
  ...common,
  prepareForCreate(policy) {
    delete policy['status'];
  },
  validate: (policy, _old, subresource) => (subresource === undefined ? validatePolicy(policy) : []),
};

export const admissionPolicyBindingStrategy: ResourceStrategy = { ...common, validate: validateBinding };

function validatePolicy(object: JsonObject): FieldError[] {
  const { spec = {} } = object as unknown as ValidatingAdmissionPolicy;
  const { matchConstraints, matchConditions = [], validations = [] } = spec;
  const errors: FieldError[] = [...paramKindErrors(spec)];
  if (matchConstraints === undefined) errors.push(requiredValue('spec.matchConstraints'));
  else {
    errors.push(...matchErrors(matchConstraints, 'spec.matchConstraints'));
    if ((matchConstraints.resourceRules ?? []).length === 0) errors.push(requiredValue('spec.matchConstraints.resourceRules'));
  }
  if (matchConditions.length > maxMatchConditions) {
    const message = `Too many: ${matchConditions.length}: must have at most ${maxMatchConditions} items`;
    return [...errors, { reason: 'FieldValueTooMany', field: 'spec.matchConditions', message }];
  }
  const names = new Set<string>();
  for (const [index, { name }] of matchConditions.entries()) {
    if (names.has(name)) errors.push(duplicateValue(`spec.matchConditions[${index}].name`, name));
    names.add(name);
  }
  if (validations.length === 0) errors.push(requiredValue('spec.validations', 'validations must not be empty'));
  for (const [index, { expression, message }] of validations.entries()) {
    if (message === undefined && expression.trim().includes('\n')) {
      errors.push(requiredValue(`spec.validations[${index}].message`, 'message must be specified if expression contains line breaks'));
    }
    if (message?.trim().includes('\n') === true) {
      errors.push(invalidValue(`spec.validations[${index}].message`, message, 'message must not contain line breaks'));
    }
  }
  return [...errors, ...compilePolicy(spec).problems];
}

function paramKindErrors({ paramKind }: ValidatingAdmissionPolicySpec): FieldError[] {
  if (paramKind == null) return [];
  // Typed as there, but a client may leave them out.
  const { apiVersion = '', kind = '' } = paramKind as Partial<typeof paramKind>;
  return [
    ...(apiVersion === '' ? [requiredValue('spec.paramKind.apiVersion')] : []),
    ...(kind === '' ? [requiredValue('spec.paramKind.kind')] : []),
  ];
}

function matchErrors({ resourceRules = [], excludeResourceRules = [] }: MatchResources, field: string): FieldError[] {
  return [
    ...resourceRules.flatMap((rule, index) => ruleErrors(rule, `${field}.resourceRules[${index}]`)),
    ...excludeResourceRules.flatMap((rule, index) => ruleErrors(rule, `${field}.excludeResourceRules[${index}]`)),
  ];
}

function ruleErrors(rule: ResourceRule, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const part of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const) {
    const values = rule[part];
    if (values.length === 0) errors.push(requiredValue(`${field}.${part}`));
    const isMixed = part !== 'resources' && values.length > 1 && values.includes('*');
    if (isMixed) errors.push(invalidValue(`${field}.${part}`, values, "if '*' is present, must not specify other values"));
  }
  return errors;
}

function validateBinding(object: JsonObject): FieldError[] {
  const { spec = {} } = object as unknown as ValidatingAdmissionPolicyBinding;
  const { policyName = '', matchResources, paramRef, validationActions = [] } = spec;
  const errors: FieldError[] = [];
  if (policyName === '') errors.push(requiredValue('spec.policyName'));
  if (validationActions.length === 0) errors.push(requiredValue('spec.validationActions', 'at least one validation action is required'));
  if (validationActions.includes('Deny') && validationActions.includes('Warn')) {
    const why =
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
    errors.push(invalidValue('spec.validationActions', validationActions, why));
  }
  for (const [index, action] of validationActions.entries()) {
    if (validationActions.indexOf(action) < index) errors.push(duplicateValue(`spec.validationActions[${index}]`, action));
  }
  if (matchResources != null) errors.push(...matchErrors(matchResources, 'spec.matchResources'));
  if (paramRef == null) return errors;
  const { name = '', selector, parameterNotFoundAction = '' } = paramRef;
  if (name !== '' && selector != null) errors.push(forbiddenField('spec.paramRef.name', 'name and selector are mutually exclusive'));
  if (name === '' && selector == null) errors.push(requiredValue('spec.paramRef', 'one of name or selector must be specified'));
  if (parameterNotFoundAction === '') errors.push(requiredValue('spec.paramRef.parameterNotFoundAction'));
  return errors;
}

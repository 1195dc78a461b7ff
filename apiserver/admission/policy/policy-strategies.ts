/** Rules of admission policies and their bindings, after Kubernetes' `pkg/apis/admissionregistration/validation`. */
import { compilePolicy } from './compile-policy.ts';
import type {
  MatchResources,
  ResourceRule,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicyBindingSpec,
  ValidatingAdmissionPolicySpec,
} from './policy-types.ts';
import { duplicateValue, forbiddenField, invalidValue, requiredValue, tooMany } from '../field-errors.ts';
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
  const { matchConditions = [] } = spec;
  const errors = [...paramKindErrors(spec), ...constraintErrors(spec)];
  if (matchConditions.length > maxMatchConditions) {
    return [...errors, tooMany('spec.matchConditions', matchConditions.length, maxMatchConditions)];
  }
  const names = matchConditions.map(({ name }) => name);
  const repeated = names.flatMap((name, index) =>
    names.indexOf(name) < index ? duplicateValue(`spec.matchConditions[${index}].name`, name) : [],
  );
  return [...errors, ...repeated, ...validationErrors(spec), ...compilePolicy(spec).problems];
}

function constraintErrors({ matchConstraints }: ValidatingAdmissionPolicySpec): FieldError[] {
  const field = 'spec.matchConstraints';
  if (matchConstraints === undefined) return [requiredValue(field)];
  const isEmpty = (matchConstraints.resourceRules ?? []).length === 0;
  return [...matchErrors(matchConstraints, field), ...(isEmpty ? [requiredValue(`${field}.resourceRules`)] : [])];
}

function validationErrors({ validations = [] }: ValidatingAdmissionPolicySpec): FieldError[] {
  if (validations.length === 0) return [requiredValue('spec.validations', 'validations must not be empty')];
  return validations.flatMap(({ expression, message }, index) => {
    const field = `spec.validations[${index}].message`;
    if (message === undefined) {
      const needsOne = expression.trim().includes('\n');
      return needsOne ? requiredValue(field, 'message must be specified if expression contains line breaks') : [];
    }
    return message.trim().includes('\n') ? invalidValue(field, message, 'message must not contain line breaks') : [];
  });
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
  const { policyName = '', matchResources } = spec;
  return [
    ...(policyName === '' ? [requiredValue('spec.policyName')] : []),
    ...actionErrors(spec),
    ...(matchResources == null ? [] : matchErrors(matchResources, 'spec.matchResources')),
    ...paramRefErrors(spec),
  ];
}

function actionErrors({ validationActions = [] }: ValidatingAdmissionPolicyBindingSpec): FieldError[] {
  const field = 'spec.validationActions';
  if (validationActions.length === 0) return [requiredValue(field, 'at least one validation action is required')];
  const repeated = validationActions.flatMap((action, index) =>
    validationActions.indexOf(action) < index ? duplicateValue(`${field}[${index}]`, action) : [],
  );
  if (!validationActions.includes('Deny') || !validationActions.includes('Warn')) return repeated;
  const why =
    'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
  return [...repeated, invalidValue(field, validationActions, why)];
}

function paramRefErrors({ paramRef }: ValidatingAdmissionPolicyBindingSpec): FieldError[] {
  if (paramRef == null) return [];
  const { name = '', selector, parameterNotFoundAction = '' } = paramRef;
  const errors: FieldError[] = [];
  if (name !== '' && selector != null) errors.push(forbiddenField('spec.paramRef.name', 'name and selector are mutually exclusive'));
  if (name === '' && selector == null) errors.push(requiredValue('spec.paramRef', 'one of name or selector must be specified'));
  if (parameterNotFoundAction === '') errors.push(requiredValue('spec.paramRef.parameterNotFoundAction'));
  return errors;
}

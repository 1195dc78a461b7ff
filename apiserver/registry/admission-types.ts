/** The built-in types that admission goes by: policies, their bindings, quotas. */
import { objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import { resourceQuotaStrategy } from '../admission/quota/quota-strategy.ts';
import { admissionPolicyBindingSchema, admissionPolicySchema, resourceQuotaSchema } from './admission-schemas.ts';
import { ageColumn, column, nameColumn } from './builtin-columns.ts';
import type { BuiltinType } from './builtin-types.ts';
import { statusSubresource } from './subresources.ts';
import { admissionPolicyBindingStrategy, admissionPolicyStrategy } from '../admission/policy/policy-strategies.ts';
import { registryRoot } from './storage-keys.ts';

function countAt(object: JsonObject, path: readonly string[]): number {
  const value = valueAt(object, path);
  return Array.isArray(value) ? value.length : 0;
}

const policyGroup = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false, categories: ['api-extensions'] };

export const admissionPoliciesType: BuiltinType = {
  ...policyGroup,
  resource: 'validatingadmissionpolicies',
  kind: 'ValidatingAdmissionPolicy',
  schema: admissionPolicySchema,
  prefix: `${registryRoot}validatingadmissionpolicies/`,
  strategy: admissionPolicyStrategy,
  subresources: [statusSubresource],
  columns: [
    nameColumn,
    column('Validations', 'integer', 'Validations indicates the number of validation rules defined in this configuration', (policy) =>
      countAt(policy, ['spec', 'validations']),
    ),
    column('ParamKind', 'string', 'ParamKind specifies the kind of resources used to parameterize this policy', (policy) => {
      const kind = objectAt(objectAt(policy, 'spec') ?? {}, 'paramKind');
      return kind === undefined ? '<unset>' : `${String(kind['apiVersion'])}/${String(kind['kind'])}`;
    }),
    ageColumn,
  ],
};

export const admissionPolicyBindingsType: BuiltinType = {
  ...policyGroup,
  resource: 'validatingadmissionpolicybindings',
  kind: 'ValidatingAdmissionPolicyBinding',
  schema: admissionPolicyBindingSchema,
  prefix: `${registryRoot}validatingadmissionpolicybindings/`,
  strategy: admissionPolicyBindingStrategy,
  columns: [
    nameColumn,
    column(
      'PolicyName',
      'string',
      'PolicyName indicates the policy definition which the policy binding binded to',
      (binding) => valueAt(binding, ['spec', 'policyName']) ?? '',
    ),
    column('ParamRef', 'string', 'ParamRef indicates the param resource which sets the configration param', (binding) => {
      const reference = objectAt(objectAt(binding, 'spec') ?? {}, 'paramRef');
      if (reference === undefined) return '<unset>';
      const { name, namespace } = reference;
      if (typeof name !== 'string') return '*';
      return typeof namespace === 'string' ? `${namespace}/${name}` : name;
    }),
    ageColumn,
  ],
};

/** `configmaps: 1/2, secrets: 0/3`, of the resources that the filter takes. */
function usage(quota: JsonObject, takes: (resource: string) => boolean): string {
  const hard = objectAt(objectAt(quota, 'status') ?? {}, 'hard') ?? objectAt(objectAt(quota, 'spec') ?? {}, 'hard') ?? {};
  const used = objectAt(objectAt(quota, 'status') ?? {}, 'used') ?? {};
  const show = (amount: unknown): string => (typeof amount === 'string' || typeof amount === 'number' ? String(amount) : '0');
  const names = Object.keys(hard).filter(takes).sort();
  return names.map((name) => `${name}: ${show(used[name])}/${show(hard[name])}`).join(', ');
}

const isLimit = (resource: string): boolean => resource.startsWith('limits.');

export const resourceQuotasType: BuiltinType = {
  group: '',
  version: 'v1',
  resource: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
  shortNames: ['quota'],
  schema: resourceQuotaSchema,
  prefix: `${registryRoot}resourcequotas/`,
  strategy: resourceQuotaStrategy,
  subresources: [statusSubresource],
  columns: [
    nameColumn,
    column('Request', 'string', 'Request represents a minimum amount of cpu/memory that a container may consume.', (quota) =>
      usage(quota, (name) => !isLimit(name)),
    ),
    column('Limit', 'string', 'Limits control the maximum amount of cpu/memory that a container may use.', (quota) =>
      usage(quota, isLimit),
    ),
    ageColumn,
  ],
};

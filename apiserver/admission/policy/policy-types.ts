/** ValidatingAdmissionPolicy and its binding as admission reads them; the shapes are those of `admissionregistration.k8s.io/v1`. */
import type { KubernetesObject } from '../../../api/object.ts';
import type { LabelSelector } from '../../../api/selector.ts';

export interface ResourceRule {
  resourceNames?: string[];
  operations: string[];
  apiGroups: string[];
  apiVersions: string[];
  /** `instances`, `instances/status`, `instances/*`, `*` (all, without subresources), and both with `*` for the resource. */
  resources: string[];
  scope?: string;
}

export interface MatchResources {
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  resourceRules?: ResourceRule[];
  excludeResourceRules?: ResourceRule[];
  matchPolicy?: string;
}

export interface NamedExpression {
  name: string;
  expression: string;
}

export interface Validation {
  expression: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
}

export interface ParamKind {
  apiVersion: string;
  kind: string;
}

export interface ValidatingAdmissionPolicySpec {
  paramKind?: ParamKind | null;
  matchConstraints?: MatchResources;
  matchConditions?: NamedExpression[];
  variables?: NamedExpression[];
  validations?: Validation[];
  failurePolicy?: string;
}

export interface ValidatingAdmissionPolicy extends KubernetesObject {
  spec?: ValidatingAdmissionPolicySpec;
}

export interface ParamRef {
  name?: string;
  namespace?: string;
  selector?: LabelSelector | null;
  parameterNotFoundAction?: string;
}

export interface ValidatingAdmissionPolicyBindingSpec {
  policyName?: string;
  paramRef?: ParamRef | null;
  matchResources?: MatchResources | null;
  validationActions?: string[];
}

export interface ValidatingAdmissionPolicyBinding extends KubernetesObject {
  spec?: ValidatingAdmissionPolicyBindingSpec;
}

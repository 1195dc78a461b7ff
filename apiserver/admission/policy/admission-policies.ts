/** ValidatingAdmissionPolicies (k8s.io/apiserver `pkg/admission/plugin/policy/validating`): rules in CEL, for who asks and what changes. */
import { qualifiedName, StatusError } from '../../registry/status-error.ts';
import type { NamespaceGate } from '../../registry/namespace-gate.ts';
import type { ResourceOperations } from '../../registry/resource.ts';
import type { Labels } from '../../../api/selector.ts';
import { warn, type AdmissionRequest, type AdmissionRule } from '../admission-request.ts';
import type { JsonObject } from '../json-value.ts';
import { PolicyEvaluation, PolicyVariables, type Failure } from './evaluate-policy.ts';
import { findParams, ParamError } from './find-params.ts';
import { labelsOf, matchesResources } from './match-resources.ts';
import type { BoundPolicy, PolicyIndex } from './policy-index.ts';

export interface PolicyOptions {
  policies: PolicyIndex;
  namespaces: NamespaceGate;
  /** Everything that is served: parameters are looked up there. */
  served: () => readonly ResourceOperations[];
}

/** Policies do not judge themselves: else one could lock everybody out for good. */
const exemptGroup = 'admissionregistration.k8s.io';

interface Subject {
  request: AdmissionRequest;
  /** Of the namespace that the object is in, or is; undefined for what is in none. */
  namespaceLabels: Labels | undefined;
  namespace: JsonObject | undefined;
  /** Converted when the first policy matches. */
  variables?: PolicyVariables;
}

type Binding = BoundPolicy['bindings'][number];

export function validatingAdmissionPolicies(options: PolicyOptions): AdmissionRule {
  return {
    name: 'ValidatingAdmissionPolicy',
    async decide(request) {
      const policies = options.policies.bound();
      if (policies.length === 0 || request.definition.group === exemptGroup) return undefined;
      const subject = await describeSubject(request, options.namespaces);
      let denial: StatusError | undefined;
      for (const policy of policies) {
        if (!matchesResources(policy.spec.matchConstraints ?? {}, request, subject.namespaceLabels)) continue;
        for (const binding of policy.bindings) {
          const failures = await failuresOf(policy, binding, subject, options);
          // The first refusal is the answer; the others may still have warnings.
          const refusals = failures.map((failure) => report(policy, binding, failure, request));
          denial = refusals.find((each) => each !== undefined);
          if (denial !== undefined) throw denial;
        }
      }
      return undefined;
    },
  };
}

async function describeSubject(request: AdmissionRequest, namespaces: NamespaceGate): Promise<Subject> {
  const { definition, namespace, object, oldObject } = request;
  if (namespace !== undefined) {
    const found = (await namespaces.find(namespace))?.object as unknown as JsonObject | undefined;
    return { request, namespace: found, namespaceLabels: found === undefined ? {} : labelsOf(found) };
  }
  const isNamespace = definition.group === '' && definition.resource === 'namespaces';
  return { request, namespace: undefined, namespaceLabels: isNamespace ? labelsOf(object ?? oldObject ?? {}) : undefined };
}

/** What a policy has against a request through one of its bindings. */
async function failuresOf(policy: BoundPolicy, binding: Binding, subject: Subject, options: PolicyOptions): Promise<Failure[]> {
  const { matchResources } = binding.spec;
  if (matchResources != null && !matchesResources(matchResources, subject.request, subject.namespaceLabels)) return [];
  const [problem] = policy.compiled.problems;
  if (problem !== undefined) {
    return forgiven(policy, [{ message: `failed to configure policy: ${problem.field}: ${problem.message}`, isError: true }]);
  }
  subject.variables ??= new PolicyVariables(subject.request, subject.namespace);
  const evaluation = new PolicyEvaluation(policy.compiled, subject.variables);
  const matches = evaluation.matches();
  if (matches === false) return [];
  if (matches !== true) return forgiven(policy, [matches]);
  try {
    const params = await paramsOf(policy, binding, subject.request, options);
    return forgiven(
      policy,
      params.flatMap((each) => evaluation.validate(each)),
    );
  } catch (error) {
    if (!(error instanceof ParamError)) throw error;
    return forgiven(policy, [{ message: `failed to configure binding: ${error.message}`, isError: true }]);
  }
}

/** Without what could not be decided, if the policy says that this is to be ignored. */
function forgiven({ spec }: BoundPolicy, failures: Failure[]): Failure[] {
  return spec.failurePolicy === 'Ignore' ? failures.filter(({ isError }) => !isError) : failures;
}

/** One evaluation for each: undefined stands for a policy without parameters, null for a binding without. */
async function paramsOf(
  { spec }: BoundPolicy,
  binding: Binding,
  request: AdmissionRequest,
  options: PolicyOptions,
): Promise<(JsonObject | null | undefined)[]> {
  if (spec.paramKind == null) return [undefined];
  const { paramRef } = binding.spec;
  if (paramRef == null) return [null];
  return findParams(spec.paramKind, paramRef, request.namespace, options.served());
}

/** Does what the binding says with a failure; answers the refusal, if it is one. */
function report(policy: BoundPolicy, binding: Binding, failure: Failure, request: AdmissionRequest): StatusError | undefined {
  let denial: StatusError | undefined;
  for (const action of binding.spec.validationActions ?? []) {
    if (action === 'Deny') denial = refusal(policy.name, binding.name, failure, request);
    else if (action === 'Warn') {
      warn(request, `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${failure.message}`);
    } else if (action === 'Audit') annotate(policy, binding, failure, request);
  }
  return denial;
}

const auditKey = 'validation.policy.admission.k8s.io/validation_failure';

/** Adds to what the audit log says of the request, as Kubernetes does. */
function annotate(policy: BoundPolicy, binding: Binding, failure: Failure, { options }: AdmissionRequest): void {
  if (options.auditAnnotations === undefined) return;
  const { message, expressionIndex } = failure;
  const entry = { message, policy: policy.name, binding: binding.name, expressionIndex, validationActions: binding.spec.validationActions };
  const earlier = options.auditAnnotations[auditKey];
  const entries = earlier === undefined ? [] : (JSON.parse(earlier) as unknown[]);
  const known = entries.some((each) => JSON.stringify(each) === JSON.stringify(entry));
  if (!known) options.auditAnnotations[auditKey] = JSON.stringify([...entries, entry]);
}

const codes: ReadonlyMap<string, number> = new Map([
  ['Forbidden', 403],
  ['Unauthorized', 401],
  ['RequestEntityTooLarge', 413],
]);

function refusal(policy: string, binding: string, failure: Failure, { definition, name }: AdmissionRequest): StatusError {
  const { group, resource } = definition;
  const { message, reason = 'Invalid' } = failure;
  const text = `ValidatingAdmissionPolicy '${policy}' with binding '${binding}' denied request: ${message}`;
  const subject = name === '' ? qualifiedName(resource, group) : `${qualifiedName(resource, group)} "${name}"`;
  return new StatusError({
    message: `${subject} is forbidden: ${text}`,
    reason,
    details: { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource, causes: [{ message: text }] },
    code: codes.get(reason) ?? 422,
  });
}

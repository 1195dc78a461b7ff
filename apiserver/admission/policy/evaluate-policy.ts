/** What a compiled policy says of one request. Evaluation is bounded: see `cel/cost.ts`. */
import { apiVersionOf } from '../../../api/resource-type.ts';
import type { AdmissionRequest } from '../admission-request.ts';
import { objectCostLimit, ruleCostLimit, runWithin, weigh } from '../cel/cost.ts';
import { convertDynamic } from '../cel/declare-type.ts';
import { evaluationErrorText } from '../cel/error-text.ts';
import { cloneJson, type JsonObject } from '../json-value.ts';
import type { CompiledExpression, CompiledPolicy, CompiledValidation } from './compile-policy.ts';

/** One thing that a policy has against a request. */
export interface Failure {
  message: string;
  /** Undefined: Invalid. */
  reason?: string;
  /** Of the validation; undefined when the policy failed before them. */
  expressionIndex?: number;
  /** Set when it could not be evaluated: the failure policy says what that means. */
  isError: boolean;
}

/** The variables of CEL for one request, as values of CEL; the same for all policies. */
export class PolicyVariables {
  readonly values: Readonly<Record<string, unknown>>;
  /** Units that it takes to look at all of them once. */
  readonly weight: number;

  constructor(request: AdmissionRequest, namespace: JsonObject | undefined) {
    const { object, oldObject } = request;
    const described = describeRequest(request);
    this.weight = weigh(object) + weigh(oldObject) + weigh(described) + weigh(namespace);
    this.values = {
      object: convertDynamic(object ?? null),
      oldObject: convertDynamic(oldObject ?? null),
      request: convertDynamic(described),
      namespaceObject: convertDynamic(namespace === undefined ? null : withoutManagedFields(namespace)),
    };
  }
}

function withoutManagedFields(namespace: JsonObject): JsonObject {
  const copy = cloneJson(namespace);
  Reflect.deleteProperty(copy['metadata'] as JsonObject, 'managedFields');
  return copy;
}

const optionKinds = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' } as const;

/** `admission.k8s.io/v1` AdmissionRequest, without its uid and its objects; what is empty is absent. */
function describeRequest({ operation, definition, subresource, namespace, name, options }: AdmissionRequest): JsonObject {
  const { group, version, kind, resource } = definition;
  const { user, dryRun, fieldManager } = options;
  const { groups, extra } = user;
  const userInfo = { username: user.name, uid: user.uid, groups: [...groups], extra: extra === undefined ? undefined : { ...extra } };
  const ofKind = { group, version, kind };
  const ofResource = { group, version, resource };
  return cloneJson<JsonObject>({
    kind: ofKind,
    resource: ofResource,
    subResource: subresource,
    requestKind: ofKind,
    requestResource: ofResource,
    requestSubResource: subresource,
    name: name === '' ? undefined : name,
    namespace,
    operation,
    userInfo,
    dryRun,
    options: {
      apiVersion: apiVersionOf({ group: 'meta.k8s.io', version: 'v1' }),
      kind: optionKinds[operation],
      ...(dryRun ? { dryRun: ['All'] } : {}),
      ...(operation === 'DELETE' || fieldManager === '' ? {} : { fieldManager }),
    },
  });
}

type Evaluated = { value: unknown } | { error: string };

/** Evaluates the expressions of one policy against one budget. */
export class PolicyEvaluation {
  readonly #policy: CompiledPolicy;
  readonly #variables: Readonly<Record<string, unknown>>;
  #remaining: number;

  constructor(policy: CompiledPolicy, variables: PolicyVariables) {
    this.#policy = policy;
    this.#variables = variables.values;
    this.#remaining = objectCostLimit - variables.weight;
  }

  /** Whether every match condition holds; a failure when one cannot be evaluated and no other says no. */
  matches(): boolean | Failure {
    let failure: Failure | undefined;
    for (const condition of this.#policy.matchConditions) {
      const result = this.#evaluate(condition, this.#variables);
      if ('error' in result) failure ??= errorOf(condition, result.error);
      else if (result.value !== true) return false;
    }
    return failure ?? true;
  }

  /** `params` is undefined for a policy without parameters. */
  validate(params: JsonObject | null | undefined): Failure[] {
    const others = params === undefined ? this.#variables : { ...this.#variables, params: convertDynamic(params) };
    const variables = { ...others, variables: this.#policy.bindVariables(others) };
    return this.#policy.validations.flatMap((validation, expressionIndex) => {
      const result = this.#evaluate(validation, variables);
      if ('error' in result) return { ...errorOf(validation, result.error), expressionIndex };
      if (result.value === true) return [];
      const { reason } = validation.validation;
      const message = this.#messageOf(validation, variables);
      return { message, ...(reason === undefined ? {} : { reason }), expressionIndex, isError: false };
    });
  }

  #evaluate({ expression }: CompiledExpression, variables: Record<string, unknown>): Evaluated {
    const outcome = runWithin(Math.max(0, Math.min(ruleCostLimit, this.#remaining)), () => expression.evaluate(variables));
    this.#remaining -= outcome.used;
    if (outcome.exceeded) return { error: 'operation cancelled: actual cost limit exceeded' };
    if (outcome.error !== undefined) return { error: evaluationErrorText(outcome.error) ?? 'no such overload' };
    return { value: outcome.value };
  }

  #messageOf({ text, validation, message }: CompiledValidation, variables: Record<string, unknown>): string {
    const given = validation.message?.trim() ?? '';
    const fixed = given === '' ? `failed expression: ${text}` : given;
    if (message === undefined) return fixed;
    const result = this.#evaluate(message, variables);
    if (!('value' in result) || typeof result.value !== 'string') return fixed;
    const made = result.value.trim();
    return made === '' || made.includes('\n') || made.length > maxMessageLength ? fixed : made;
  }
}

const maxMessageLength = 5 * 1024;

function errorOf({ text }: CompiledExpression, error: string): Failure {
  return { message: `expression '${text}' resulted in error: ${error}`, isError: true };
}

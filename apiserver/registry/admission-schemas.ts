/** Schemas of the admission policies and of quotas, as data. Descriptions are what `kubectl explain` shows; names and rules are Kubernetes' own. */
import type { JsonSchema } from '../admission/structural-schema.ts';

type Properties = Record<string, JsonSchema>;

const text = (description: string): JsonSchema => ({ type: 'string', description });
const list = (description: string, items: JsonSchema): JsonSchema => ({ type: 'array', nullable: true, description, items });
const texts = (description: string): JsonSchema => list(description, { type: 'string' });
const object = (description: string, properties: Properties, required: string[] = []): JsonSchema => ({
  type: 'object',
  description,
  properties,
  ...(required.length === 0 ? {} : { required }),
});
const oneOf = (description: string, values: string[], standard?: string): JsonSchema => ({
  type: 'string',
  description,
  enum: values,
  ...(standard === undefined ? {} : { default: standard }),
});

const root = (description: string, properties: Properties, required: string[] = []): JsonSchema =>
  object(
    description,
    {
      apiVersion: text('APIVersion defines the versioned schema of this representation of an object.'),
      kind: text('Kind is a string value representing the REST resource this object represents.'),
      metadata: { type: 'object', description: "Standard object's metadata." },
      ...properties,
    },
    required,
  );

const labelSelector = (description: string): JsonSchema =>
  object(description, {
    matchLabels: { type: 'object', nullable: true, description: 'Labels that must be there.', additionalProperties: { type: 'string' } },
    matchExpressions: list(
      'Requirements that must all hold.',
      object(
        'One requirement.',
        {
          key: text('The label key that the selector applies to.'),
          operator: oneOf("A key's relationship to a set of values.", ['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: texts('Values for In and NotIn.'),
        },
        ['key', 'operator'],
      ),
    ),
  });

const resourceRule = object(
  'Operations on resources.',
  {
    apiGroups: texts('API groups the resources belong to. `*` is all groups.'),
    apiVersions: texts('API versions the resources belong to. `*` is all versions.'),
    operations: list('Operations to match: CREATE, UPDATE, DELETE, CONNECT or `*` for all of them.', {
      type: 'string',
      enum: ['CREATE', 'UPDATE', 'DELETE', 'CONNECT', '*'],
    }),
    resources: texts('Resources this rule applies to, for example `pods`, `pods/status`, `*`, `pods/*`, `*/scale`, `*/*`.'),
    resourceNames: texts('Names that the rule applies to. An empty set means that everything is allowed.'),
    scope: oneOf('Scope of the resources: Cluster, Namespaced, or `*` for no restriction.', ['Cluster', 'Namespaced', '*'], '*'),
  },
  ['apiGroups', 'apiVersions', 'operations', 'resources'],
);

const matchResources = (description: string): JsonSchema =>
  object(description, {
    namespaceSelector: labelSelector("Decides whether the policy applies to an object by its namespace's labels."),
    objectSelector: labelSelector(
      'Decides whether the policy applies to an object by its labels: the new state or the old one must match.',
    ),
    resourceRules: list(
      'What operations on what resources the policy is about. It is about an operation if it matches any rule.',
      resourceRule,
    ),
    excludeResourceRules: list('Operations that the policy is not about, whatever the other rules say.', resourceRule),
    matchPolicy: oneOf(
      'Equivalent matches every served version of a resource, Exact only the listed ones.',
      ['Exact', 'Equivalent'],
      'Equivalent',
    ),
  });

const namedExpression = (description: string): JsonSchema =>
  object(description, { name: text('Name of the expression, unique in its list.'), expression: text('The CEL expression.') }, [
    'name',
    'expression',
  ]);

const validation = object(
  'One rule.',
  {
    expression: text(
      'CEL that evaluates to bool; the request is refused when it is false. It knows object, oldObject, request, params, namespaceObject and variables.',
    ),
    message: text('What is said when the validation fails. Required if the expression has line breaks.'),
    messageExpression: text('CEL that makes the message; takes precedence over message when it evaluates to a single line.'),
    reason: oneOf('The reason of the refusal, which decides its HTTP code. Invalid by default.', [
      'Unauthorized',
      'Forbidden',
      'Invalid',
      'RequestEntityTooLarge',
    ]),
  },
  ['expression'],
);

export const admissionPolicySchema = root(
  'ValidatingAdmissionPolicy describes the definition of an admission validation policy that accepts or rejects an object without changing it.',
  {
    spec: object('The desired behavior of the policy.', {
      paramKind: {
        ...object('The kind of the objects that are its parameters. If absent, there are no parameters.', {
          apiVersion: text('The API group and version of the parameters, as `group/version`.'),
          kind: text('The kind of the parameters.'),
        }),
        nullable: true,
      },
      matchConstraints: matchResources('What resources the policy is designed to validate. Required.'),
      matchConditions: list('Conditions that must all hold for a request to be validated.', namedExpression('One condition.')),
      variables: list(
        'Expressions that others may use as `variables.<name>`; each may use those before it.',
        namedExpression('One variable.'),
      ),
      validations: list('CEL expressions that are used to apply the validation.', validation),
      failurePolicy: oneOf('Whether a request that cannot be judged is refused (Fail) or not (Ignore).', ['Fail', 'Ignore'], 'Fail'),
    }),
    status: object('The status of the policy.', {
      observedGeneration: { type: 'integer', format: 'int64', description: 'The generation observed by whoever wrote the status.' },
    }),
  },
);

export const admissionPolicyBindingSchema = root(
  'ValidatingAdmissionPolicyBinding binds a ValidatingAdmissionPolicy with parameters, and says where it applies. A policy without a binding does nothing.',
  {
    spec: object('The desired behavior of the binding.', {
      policyName: text('The name of the ValidatingAdmissionPolicy that this binds to. Required.'),
      paramRef: {
        ...object('The parameters of the policy: one by its name, or all that a selector matches.', {
          name: text('The name of the parameter. Excludes selector.'),
          namespace: text("Where the parameter is; by default in the request's own namespace."),
          selector: { ...labelSelector('Matches parameters by their labels. Excludes name.'), nullable: true },
          parameterNotFoundAction: oneOf('What happens to a request when there is no parameter.', ['Allow', 'Deny']),
        }),
        nullable: true,
      },
      matchResources: { ...matchResources('Narrows down what the policy matches.'), nullable: true },
      validationActions: list('What is done when a validation fails: Deny, Warn, Audit. Required.', {
        type: 'string',
        enum: ['Deny', 'Warn', 'Audit'],
      }),
    }),
  },
);

const amounts = (description: string): JsonSchema => ({
  type: 'object',
  description,
  nullable: true,
  additionalProperties: { 'x-kubernetes-int-or-string': true },
});

export const resourceQuotaSchema = root('ResourceQuota sets aggregate quota restrictions enforced per namespace.', {
  spec: object('Spec defines the desired quota.', {
    hard: amounts(
      'The set of desired hard limits for each named resource: `count/<resource>.<group>`, or an amount that a kind of object declares.',
    ),
  }),
  status: object('Status defines the actual enforced quota and its current usage.', {
    hard: amounts('The set of enforced hard limits for each named resource.'),
    used: amounts('The current observed total usage of the resource in the namespace.'),
  }),
});

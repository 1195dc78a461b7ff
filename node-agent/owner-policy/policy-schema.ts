/** The form of an owner's policy file, as JSON Schema. What a schema cannot say (`from` before `to`, quantities) is in `parse-policy.ts`. */

const amountsOf = (names: readonly string[]): object => ({
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(names.map((name) => [name, { type: ['string', 'number'] }])),
});
const shared = ['cpu', 'memory', 'disk', 'ingress-bandwidth', 'egress-bandwidth'];

const listOf = (items: object): object => ({ type: 'array', maxItems: 256, items });

const image = { type: 'string', minLength: 1, maxLength: 512, pattern: '^[A-Za-z0-9*][A-Za-z0-9._:/@*-]*$' };
const member = { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' };
const allowDeny = (items: object): object => ({
  type: 'object',
  additionalProperties: false,
  properties: { allow: listOf(items), deny: listOf(items) },
});

export const policySchema = {
  type: 'object',
  required: ['apiVersion', 'kind'],
  additionalProperties: false,
  properties: {
    apiVersion: { const: 'potluck.dev/v1alpha1' },
    kind: { const: 'OwnerPolicy' },
    stopNow: { type: 'boolean' },
    hours: {
      type: 'array',
      maxItems: 64,
      items: {
        type: 'object',
        required: ['days', 'from', 'to'],
        additionalProperties: false,
        properties: {
          days: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] } },
          from: { type: 'string', pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$' },
          to: { type: 'string', pattern: '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$' },
        },
      },
    },
    total: amountsOf(shared),
    perInstance: amountsOf([...shared, 'pids']),
    images: allowDeny(image),
    members: allowDeny(member),
    runtimes: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: ['runc', 'runsc'] } },
    freeDisk: { type: ['string', 'number'] },
  },
};

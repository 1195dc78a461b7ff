/** Everything that is checked of an object before it is written: metadata, schema, CEL rules, and the resource's own rules. */
import { isObject, type JsonObject } from '../admission/json-value.ts';
import { metaText } from './decode-object.ts';
import type { ResourceDefinition, Subresource } from './resource.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import { invalid, type FieldError } from './status-error.ts';

/** Errors after which CEL rules are not tried, as Kubernetes counts them (apiextensions `hasBlockingErr`). */
const blockingReasons = new Set([
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueDuplicate',
  'FieldValueTypeInvalid',
]);

const rulesNotChecked: FieldError = {
  reason: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

export interface ObjectCheck {
  definition: ResourceDefinition;
  strategy: ResourceStrategy;
  /** In the request's version; `old` is absent for a creation. */
  object: JsonObject;
  old: JsonObject | undefined;
  /** What the metadata's own checks found. */
  metadataErrors: FieldError[];
  subresource: Subresource | undefined;
}

/** Throws 422 with every error that was found. */
export function checkObject(check: ObjectCheck): void {
  const { definition, object, old } = check;
  const errors = [...check.metadataErrors];
  if (object['kind'] !== definition.kind) {
    const kind = JSON.stringify(object['kind']);
    errors.push({ reason: 'FieldValueInvalid', field: 'kind', message: `Invalid value: ${kind}: must be ${definition.kind}` });
  }
  errors.push(...definition.schema.validate(object, old));
  if (errors.some(({ reason }) => blockingReasons.has(reason))) {
    if (hasRules(definition.schema.declared)) errors.push(rulesNotChecked);
  } else {
    errors.push(...definition.schema.validateRules(object, old));
    errors.push(...(check.strategy.validate?.(object, old, check.subresource) ?? []));
  }
  if (errors.length === 0) return;
  const kind = typeof object['kind'] === 'string' ? object['kind'] : definition.kind;
  throw invalid({ group: definition.group, kind }, metaText(object, 'name') ?? '', errors);
}

const knownToHaveRules = new WeakMap<object, boolean>();

/** Whether the schema has CEL rules anywhere. */
function hasRules(declared: object): boolean {
  const known = knownToHaveRules.get(declared);
  if (known !== undefined) return known;
  const found = containsRules(declared);
  knownToHaveRules.set(declared, found);
  return found;
}

function containsRules(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(containsRules);
  if (!isObject(value)) return false;
  return Array.isArray(value['x-kubernetes-validations']) || Object.values(value).some(containsRules);
}

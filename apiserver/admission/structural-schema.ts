/**
 * A CRD's `openAPIV3Schema`, or a built-in type's, compiled once. `compile-schema.ts` makes it; the registry calls it on every write,
 * in this order: prune, default, validate (then CEL rules, which need a valid object).
 */
import type { FieldError } from '../registry/status-error.ts';

export interface StructuralSchema {
  /** The schema as declared (`openAPIV3Schema`), for OpenAPI and `kubectl explain`. */
  readonly declared: JsonSchema;
  /** Drops, in place, fields that the schema does not know; answers their paths, for example `spec.foo`, `spec.list[0].bar`, in order. */
  prune(object: Record<string, unknown>): string[];
  /** Fills defaults in place; null where null is not allowed becomes the default, or is dropped. */
  applyDefaults(object: Record<string, unknown>): void;
  /** Types, bounds, enums, patterns, formats, list sets and maps. `old` enables ratcheting. */
  validate(object: Record<string, unknown>, old?: Record<string, unknown>): FieldError[];
  /** CEL rules, with transition rules when there is an `old`. Only for an object without errors from `validate`. */
  validateRules(object: Record<string, unknown>, old?: Record<string, unknown>): FieldError[];
}

/** The subset of OpenAPI v3 that structural schemas use. */
export interface JsonSchema {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  required?: string[];
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  not?: JsonSchema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: 'granular' | 'atomic';
  'x-kubernetes-validations'?: ValidationRule[];
  [extension: `x-${string}`]: unknown;
}

export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

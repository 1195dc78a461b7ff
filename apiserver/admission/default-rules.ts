/** Whether the defaults of a schema are values of it, as apiextensions-apiserver `schema/defaulting` demands. */
import type { FieldError } from '../registry/status-error.ts';
import { forbiddenField, invalidValue } from './field-errors.ts';
import { cloneJson } from './json-value.ts';
import { compilePruner } from './prune.ts';
import type { JsonSchema } from './structural-schema.ts';
import { compileValidator } from './validate-value.ts';

function checkDefault(schema: JsonSchema, field: string): FieldError[] {
  const value = schema.default;
  if (value === undefined) return [];
  const at = `${field}.default`;
  const unknown: string[] = [];
  compilePruner(schema, false)(cloneJson(value), [], unknown);
  if (unknown.length > 0) return [invalidValue(at, value, 'must not have unknown fields')];
  const errors: FieldError[] = [];
  compileValidator(schema)(value, { path: [], errors }, undefined);
  return errors.map((error) => ({ ...error, field: error.field === '' ? at : `${at}.${error.field}` }));
}

function checkMembers(schema: JsonSchema, field: string): FieldError[] {
  const errors = checkDefault(schema, field);
  for (const [key, property] of Object.entries(schema.properties ?? {}))
    errors.push(...checkMembers(property, `${field}.properties[${key}]`));
  const { additionalProperties, items } = schema;
  if (typeof additionalProperties === 'object') errors.push(...checkMembers(additionalProperties, `${field}.additionalProperties`));
  if (items !== undefined) errors.push(...checkMembers(items, `${field}.items`));
  return errors;
}

/** What is wrong with the defaults of a structural schema; `field` is where it stands. */
export function defaultErrors(schema: JsonSchema, field: string): FieldError[] {
  if (schema.default !== undefined) return [forbiddenField(`${field}.default`, 'must not be set at the root')];
  return checkMembers(schema, field);
}

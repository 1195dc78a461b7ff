/** Makes a {@link StructuralSchema} of what a CRD, or a built-in type, declares. */
import type { FieldError } from '../registry/status-error.ts';
import { compileDefaulter } from './apply-defaults.ts';
import { compileRules } from './cel/compile-rules.ts';
import { compileDuplicateCheck } from './list-types.ts';
import type { DuplicateCheck } from './list-types.ts';
import { compilePruner } from './prune.ts';
import type { JsonSchema, StructuralSchema } from './structural-schema.ts';
import { compileValidator } from './validate-value.ts';
import type { Validator } from './validate-value.ts';

export interface CompileOptions {
  /** False for a schema that is not the root of a resource: then apiVersion, kind and metadata are no fields of their own right. Default true. */
  resource?: boolean;
}

/** Most errors that are reported of one object. */
const maxErrors = 100;

function validateSchema(validator: Validator, object: unknown, old: unknown): FieldError[] {
  const errors: FieldError[] = [];
  validator(object, { path: [], errors }, undefined);
  if (errors.length === 0 || old === undefined) return errors;
  // Only a faulty object pays for the comparison with what it was.
  const left: FieldError[] = [];
  validator(object, { path: [], errors: left }, old);
  return left;
}

function duplicatesOf(check: DuplicateCheck, object: unknown): FieldError[] {
  const errors: FieldError[] = [];
  check(object, [], errors);
  return errors;
}

/**
 * Compiles a structural schema. Its rules, patterns and defaults must be valid (`validateCustomResourceDefinition` says so): what is not
 * throws here, as a bug of the caller.
 */
export function compileSchema(declared: JsonSchema, options: CompileOptions = {}): StructuralSchema {
  const resource = options.resource ?? true;
  const prune = compilePruner(declared, resource);
  const fill = compileDefaulter(declared);
  const validator = compileValidator(declared);
  const checkDuplicates = compileDuplicateCheck(declared);
  const rules = compileRules(declared, { resource });
  const problem = rules.problems[0];
  if (problem !== undefined) throw new TypeError(`${problem.field}: ${problem.message}`);
  return {
    declared,
    prune(object) {
      const unknown: string[] = [];
      prune(object, [], unknown);
      return unknown;
    },
    applyDefaults: fill,
    validate(object, old) {
      const errors = validateSchema(validator, object, old);
      // Duplicates that were there before stay allowed.
      const oldDuplicates = checkDuplicates === undefined || old === undefined ? 0 : duplicatesOf(checkDuplicates, old).length;
      if (checkDuplicates !== undefined && oldDuplicates === 0) errors.push(...duplicatesOf(checkDuplicates, object));
      return errors.slice(0, maxErrors);
    },
    validateRules: (object, old) => rules.validate(object, old),
  };
}

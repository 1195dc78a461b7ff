/** Compiles what validates values of a schema, members included, in the order in which Kubernetes reports errors. */
import { invalidValue, requiredValue } from './field-errors.ts';
import { formatPath } from './field-errors.ts';
import { isObject, equalJson, ownValue } from './json-value.ts';
import type { JsonObject } from './json-value.ts';
import { listKeyOf } from './list-types.ts';
import type { JsonSchema } from './structural-schema.ts';
import {
  compileArraySizeCheck,
  compileEnumCheck,
  compileNumberChecks,
  compileObjectSizeCheck,
  compileStringChecks,
  compileTypeCheck,
} from './value-checks.ts';
import type { ValidationContext } from './value-checks.ts';

/**
 * Adds what is wrong with a value to the context. `old` is what stood there before: what equals it is not looked at, so an unchanged fault
 * does not keep an object from being updated. Undefined where nothing stood, or where nothing is to be forgiven.
 */
export type Validator = (value: unknown, context: ValidationContext, old: unknown) => void;

/** Whether `anyOf` says only what `x-kubernetes-int-or-string` says. */
function isIntOrStringPattern(schema: JsonSchema): boolean {
  const types = schema.anyOf?.map((part) => (Object.keys(part).length === 1 ? part.type : undefined));
  return schema['x-kubernetes-int-or-string'] === true && types?.join() === 'integer,string';
}

function probe(validator: Validator, value: unknown, context: ValidationContext): ValidationContext {
  const attempt: ValidationContext = { path: [...context.path], errors: [] };
  validator(value, attempt, undefined);
  return attempt;
}

/** Errors about a junctor name the field in their text; Kubernetes gives them no field. */
function junctorError(context: ValidationContext, detail: string): void {
  context.errors.push(invalidValue('<nil>', '', `${JSON.stringify(formatPath(context.path))} ${detail}`));
}

function addLeast(context: ValidationContext, attempts: readonly ValidationContext[]): void {
  const least = attempts.reduce((best, attempt) => (attempt.errors.length < best.errors.length ? attempt : best));
  context.errors.push(...least.errors);
}

function compileJunctors(schema: JsonSchema): Validator[] {
  const junctors: Validator[] = [];
  if (schema.anyOf !== undefined && schema.anyOf.length > 0 && !isIntOrStringPattern(schema)) {
    const parts = schema.anyOf.map(compileValidator);
    junctors.push((value, context) => {
      const attempts = parts.map((part) => probe(part, value, context));
      if (attempts.some(({ errors }) => errors.length === 0)) return;
      junctorError(context, 'must validate at least one schema (anyOf)');
      addLeast(context, attempts);
    });
  }
  if (schema.oneOf !== undefined && schema.oneOf.length > 0) {
    const parts = schema.oneOf.map(compileValidator);
    junctors.push((value, context) => {
      const attempts = parts.map((part) => probe(part, value, context));
      const valid = attempts.filter(({ errors }) => errors.length === 0).length;
      if (valid === 1) return;
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      junctorError(context, `must validate one and only one schema (oneOf). ${found}`);
      if (valid === 0) addLeast(context, attempts);
    });
  }
  if (schema.allOf !== undefined && schema.allOf.length > 0) {
    const parts = schema.allOf.map(compileValidator);
    junctors.push((value, context) => {
      const failed = parts.map((part) => probe(part, value, context)).filter(({ errors }) => errors.length > 0);
      if (failed.length === 0) return;
      for (const { errors } of failed) context.errors.push(...errors);
      junctorError(context, `must validate all the schemas (allOf)${failed.length === parts.length ? '. None validated' : ''}`);
    });
  }
  if (schema.not !== undefined) {
    const part = compileValidator(schema.not);
    junctors.push((value, context) => {
      if (probe(part, value, context).errors.length === 0) junctorError(context, 'must not validate the schema (not)');
    });
  }
  return junctors;
}

/** Old items by key; only lists of type map have items that can be told apart. */
function oldItems(schema: JsonSchema, old: unknown): ReadonlyMap<string, unknown> | undefined {
  if (!Array.isArray(old) || schema['x-kubernetes-list-type'] !== 'map') return undefined;
  return new Map(old.map((item: unknown) => [listKeyOf(schema, item), item]));
}

function compileArray(schema: JsonSchema): Validator {
  const checkSize = compileArraySizeCheck(schema);
  const items = schema.items === undefined ? undefined : compileValidator(schema.items);
  return (value, context, old) => {
    const list = value as readonly unknown[];
    if (items !== undefined) {
      const before = oldItems(schema, old);
      for (const [index, item] of list.entries()) {
        context.path.push(index);
        items(item, context, before?.get(listKeyOf(schema, item)));
        context.path.pop();
      }
    }
    checkSize(list, context);
  };
}

function requiredKeys(schema: JsonSchema): ReadonlySet<string> {
  return new Set([...(schema.required ?? []), ...(schema['x-kubernetes-embedded-resource'] === true ? ['apiVersion', 'kind'] : [])]);
}

/** Validates what is declared of an object's keys, in the order of the keys. */
function compileDeclared(schema: JsonSchema): Validator {
  const required = requiredKeys(schema);
  const properties = new Map(Object.entries(schema.properties ?? {}).map(([key, property]) => [key, compileValidator(property)]));
  const declared = [...new Set([...properties.keys(), ...required])].sort();
  return (value, context, old) => {
    const object = value as JsonObject;
    for (const key of declared) {
      const present = Object.hasOwn(object, key);
      if (!present && !required.has(key)) continue;
      context.path.push(key);
      if (present) properties.get(key)?.(object[key], context, isObject(old) ? ownValue(old, key) : undefined);
      else context.errors.push(requiredValue(formatPath(context.path)));
      context.path.pop();
    }
  };
}

/** Validates the values of keys that `properties` does not declare. */
function compileAdditional(schema: JsonSchema): Validator | undefined {
  if (typeof schema.additionalProperties !== 'object') return undefined;
  const additional = compileValidator(schema.additionalProperties);
  const declared = new Set(Object.keys(schema.properties ?? {}));
  return (value, context, old) => {
    const object = value as JsonObject;
    for (const key of Object.keys(object)) {
      if (declared.has(key)) continue;
      context.path.push(key);
      additional(object[key], context, isObject(old) ? ownValue(old, key) : undefined);
      context.path.pop();
    }
  };
}

function compileObject(schema: JsonSchema): Validator {
  const checkSize = compileObjectSizeCheck(schema);
  const declared = compileDeclared(schema);
  const additional = compileAdditional(schema);
  return (value, context, old) => {
    checkSize?.(value as JsonObject, context);
    additional?.(value, context, old);
    declared(value, context, old);
  };
}

/** Compiles the validator of one schema. Patterns must have been checked before: a bad one throws. */
export function compileValidator(schema: JsonSchema): Validator {
  const checkType = compileTypeCheck(schema);
  const junctors = compileJunctors(schema);
  const stringChecks = compileStringChecks(schema);
  const numberChecks = compileNumberChecks(schema);
  const checkEnum = compileEnumCheck(schema);
  const array = compileArray(schema);
  const object = compileObject(schema);
  return (value, context, old) => {
    if (old !== undefined && equalJson(value, old)) return;
    if (!checkType(value, context) || value === null) return;
    for (const junctor of junctors) junctor(value, context, old);
    if (typeof value === 'string') for (const check of stringChecks) check(value, context);
    else if (typeof value === 'number') for (const check of numberChecks) check(value, context);
    else if (Array.isArray(value)) array(value, context, old);
    checkEnum?.(value, context);
    if (isObject(value)) object(value, context, old);
  };
}

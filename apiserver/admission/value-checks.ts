/**
 * Checks of single values against the words of a schema, in the order and with the texts of kube-openapi's validators, as
 * apiextensions-apiserver turns them into field errors.
 */
import type { FieldError } from '../registry/status-error.ts';
import { compilePattern } from './compile-pattern.ts';
import { formatPath, invalidValue, tooLong, tooMany, typeInvalid, unsupportedValue } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';
import { formatCheck } from './formats.ts';
import { canonicalJson, equalJson } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';

/** Where a walk stands, and what it found. */
export interface ValidationContext {
  readonly path: PathSegment[];
  readonly errors: FieldError[];
}

export type ValueCheck<T> = (value: T, context: ValidationContext) => void;

/** The JSON type of a value, in OpenAPI's words; numbers without fraction are integers. */
export function jsonTypeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'bigint') return 'integer';
  return typeof value;
}

/** Types that a schema allows; empty means any. */
export function allowedTypes(schema: JsonSchema): string[] {
  if (schema['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return schema.type === undefined ? [] : [schema.type];
}

/** Answers whether the type is right, and says so if not. */
export function compileTypeCheck(schema: JsonSchema): (value: unknown, context: ValidationContext) => boolean {
  const types = allowedTypes(schema);
  const nullable = schema.nullable === true;
  return (value, context) => {
    const type = jsonTypeOf(value);
    if (types.length === 0 || types.includes(type) || (type === 'integer' && types.includes('number'))) return true;
    if (type === 'null' && nullable) return true;
    const field = formatPath(context.path);
    context.errors.push(typeInvalid(field, type, `${field} in body must be of type ${types.join(',')}: ${JSON.stringify(type)}`));
    return false;
  };
}

function lengthOf(text: string): number {
  let length = text.length;
  // Surrogate pairs count once.
  for (let index = 0; index < text.length - 1; index += 1) {
    if ((text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) length -= 1;
  }
  return length;
}

/** Lengths, then the pattern; the first that fails is the only one said. */
function compileLengthAndPattern(schema: JsonSchema): ValueCheck<string> | undefined {
  const { maxLength = Infinity, minLength = 0, pattern } = schema;
  if (maxLength === Infinity && minLength === 0 && pattern === undefined) return undefined;
  const test = pattern === undefined ? undefined : compilePattern(pattern);
  return (value, { path, errors }) => {
    const length = value.length > maxLength || minLength > 0 ? lengthOf(value) : 0;
    if (length > maxLength) {
      errors.push(tooLong(formatPath(path), maxLength));
    } else if (length < minLength) {
      const field = formatPath(path);
      errors.push(invalidValue(field, value, `${field} in body should be at least ${minLength} chars long`));
    } else if (test !== undefined && !test(value)) {
      const field = formatPath(path);
      errors.push(invalidValue(field, value, `${field} in body should match '${pattern ?? ''}'`));
    }
  };
}

export function compileStringChecks(schema: JsonSchema): ValueCheck<string>[] {
  const checks: ValueCheck<string>[] = [];
  const lengthAndPattern = compileLengthAndPattern(schema);
  if (lengthAndPattern !== undefined) checks.push(lengthAndPattern);
  const { format = '' } = schema;
  const hasFormat = formatCheck(format);
  if (hasFormat !== undefined) {
    checks.push((value, { path, errors }) => {
      if (hasFormat(value)) return;
      const field = formatPath(path);
      errors.push(typeInvalid(field, value, `${field} in body must be of type ${format}: ${JSON.stringify(value)}`));
    });
  }
  return checks;
}

function isMultiple(value: number, factor: number): boolean {
  const quotient = value / factor;
  return Math.abs(quotient - Math.round(quotient)) <= 1e-9 * Math.max(1, Math.abs(quotient));
}

const integerBounds: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint64: [0, 2 ** 64 - 1],
};

function compileIntegerFormat({ type, format = '' }: JsonSchema): ValueCheck<number> | undefined {
  const bounds = Object.hasOwn(integerBounds, format) ? integerBounds[format] : undefined;
  if (bounds === undefined || type !== 'integer') return undefined;
  return (value, { path, errors }) => {
    if (value >= bounds[0] && value <= bounds[1]) return;
    const field = formatPath(path);
    errors.push(invalidValue(field, value, `Checked value must be of type integer with format ${format} in ${field}`));
  };
}

/** Says `detail` of every value that is not `right`; written after `FIELD in body should be`. */
function numberCheck(right: (value: number) => boolean, detail: string): ValueCheck<number> {
  return (value, { path, errors }) => {
    if (right(value)) return;
    const field = formatPath(path);
    errors.push(invalidValue(field, value, `${field} in body should be ${detail}`));
  };
}

export function compileNumberChecks(schema: JsonSchema): ValueCheck<number>[] {
  const { multipleOf, minimum, maximum } = schema;
  const checks: ValueCheck<number>[] = [];
  const format = compileIntegerFormat(schema);
  if (format !== undefined) checks.push(format);
  if (multipleOf !== undefined) checks.push(numberCheck((value) => isMultiple(value, multipleOf), `a multiple of ${multipleOf}`));
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true) checks.push(numberCheck((value) => value > minimum, `greater than ${minimum}`));
    else checks.push(numberCheck((value) => value >= minimum, `greater than or equal to ${minimum}`));
  }
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true) checks.push(numberCheck((value) => value < maximum, `less than ${maximum}`));
    else checks.push(numberCheck((value) => value <= maximum, `less than or equal to ${maximum}`));
  }
  return checks;
}

export function compileEnumCheck({ enum: allowed }: JsonSchema): ValueCheck<unknown> | undefined {
  if (allowed === undefined) return undefined;
  return (value, { path, errors }) => {
    if (!allowed.some((one) => equalJson(one, value))) errors.push(unsupportedValue(formatPath(path), value, allowed));
  };
}

export function compileArraySizeCheck({ minItems = 0, maxItems = Infinity, uniqueItems }: JsonSchema): ValueCheck<readonly unknown[]> {
  return (value, { path, errors }) => {
    if (value.length < minItems) {
      const field = formatPath(path);
      errors.push(invalidValue(field, value.length, `${field} in body should have at least ${minItems} items`));
    }
    if (value.length > maxItems) errors.push(tooMany(formatPath(path), value.length, maxItems));
    if (uniqueItems === true && new Set(value.map(canonicalJson)).size !== value.length) {
      const field = formatPath(path);
      errors.push(invalidValue(field, null, `${field} in body shouldn't contain duplicates`));
    }
  };
}

export function compileObjectSizeCheck({ minProperties = 0, maxProperties = Infinity }: JsonSchema): ValueCheck<object> | undefined {
  if (minProperties === 0 && maxProperties === Infinity) return undefined;
  return (value, { path, errors }) => {
    const size = Object.keys(value).length;
    if (size < minProperties) {
      const field = formatPath(path);
      errors.push(invalidValue(field, size, `${field} in body should have at least ${minProperties} properties`));
    }
    if (size > maxProperties) errors.push(tooMany(formatPath(path), size, maxProperties));
  };
}

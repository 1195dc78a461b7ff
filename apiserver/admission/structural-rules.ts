/**
 * Whether a schema is structural, and makes sense: types everywhere, nothing that pruning or merging could not follow. Rules and texts of
 * apiextensions-apiserver `schema/validation.go` and `apis/apiextensions/validation`.
 */
import type { FieldError } from '../registry/status-error.ts';
import { compilePattern } from './compile-pattern.ts';
import { forbiddenField, invalidValue, requiredValue, unsupportedValue } from './field-errors.ts';
import { isObject } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';

/** What a schema is within its parent; decides how a missing type is said. */
type Level = 'root' | 'field' | 'item';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const unsupportedKeywords = ['$ref', '$schema', 'definitions', 'dependencies', 'id', 'patternProperties'];

const missingType: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  field: 'must not be empty for specified object fields',
  item: 'must not be empty for specified array items',
};

function checkType(schema: JsonSchema, field: string, level: Level): FieldError[] {
  const { type = '' } = schema;
  const at = `${field}.type`;
  if (type === '') {
    const implied = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
    return implied && level !== 'root' ? [] : [requiredValue(at, missingType[level])];
  }
  if (type === 'null') return [forbiddenField(at, 'type cannot be set to null, use nullable as an alternative')];
  if (!types.includes(type)) return [unsupportedValue(at, type, types)];
  if (level === 'root' && type !== 'object') return [invalidValue(at, type, 'must be object at the root')];
  if (schema['x-kubernetes-int-or-string'] === true) {
    return [invalidValue(at, type, 'must be empty if x-kubernetes-int-or-string is true')];
  }
  return [];
}

function checkKeywords(schema: JsonSchema, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const keyword of unsupportedKeywords) {
    if (Object.hasOwn(schema, keyword)) errors.push(forbiddenField(`${field}.${keyword}`, `${keyword} is not supported`));
  }
  if (schema.additionalProperties === false) {
    errors.push(forbiddenField(`${field}.additionalProperties`, 'additionalProperties cannot be set to false'));
  } else if (schema.additionalProperties !== undefined && schema.properties !== undefined && Object.keys(schema.properties).length > 0) {
    errors.push(forbiddenField(`${field}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  if (schema.uniqueItems === true) {
    errors.push(forbiddenField(`${field}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.push(invalidValue(`${field}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  if (schema.type === 'array' && schema.items === undefined) errors.push(requiredValue(`${field}.items`, 'must be specified'));
  return [...errors, ...checkPattern(schema, field)];
}

function checkPattern({ pattern }: JsonSchema, field: string): FieldError[] {
  if (pattern === undefined) return [];
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [invalidValue(`${field}.pattern`, pattern, `must be a valid regular expression, but isn't: ${why}`)];
  }
}

function checkMapKey(schema: JsonSchema, key: string, index: number, field: string): FieldError[] {
  const property = schema.items?.properties?.[key];
  if (property === undefined) {
    return [invalidValue(`${field}.x-kubernetes-list-map-keys[${index}]`, key, 'entries must all be names of item properties')];
  }
  const at = `${field}.items.properties[${key}]`;
  const errors: FieldError[] = [];
  if (property.type === 'object' || property.type === 'array') {
    errors.push(invalidValue(`${at}.type`, property.type, "must be a scalar type if parent array's x-kubernetes-list-type is map"));
  }
  if (property.default === undefined && schema.items?.required?.includes(key) !== true) {
    const detail = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
    errors.push(requiredValue(`${at}.default`, detail));
  }
  if (property.nullable === true)
    errors.push(forbiddenField(`${at}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'));
  return errors;
}

function checkMapList(schema: JsonSchema, keys: readonly string[], field: string): FieldError[] {
  if (keys.length === 0) {
    return [requiredValue(`${field}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map')];
  }
  if (schema.items?.type !== 'object') {
    const detail = "must be object if parent array's x-kubernetes-list-type is map";
    return [invalidValue(`${field}.items.type`, schema.items?.type ?? '', detail)];
  }
  return keys.flatMap((key, index) => checkMapKey(schema, key, index, field));
}

function checkList(schema: JsonSchema, field: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const errors: FieldError[] = [];
  if (listType !== undefined && !['atomic', 'set', 'map'].includes(listType)) {
    errors.push(unsupportedValue(`${field}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  }
  if (listType !== undefined && schema.type !== 'array') {
    errors.push(invalidValue(`${field}.type`, schema.type ?? '', 'must be array if x-kubernetes-list-type is specified'));
  }
  if (keys.length > 0 && listType !== 'map') {
    errors.push(invalidValue(`${field}.x-kubernetes-list-type`, listType ?? '', 'must be map if x-kubernetes-list-map-keys is non-empty'));
  }
  if (listType === 'map') errors.push(...checkMapList(schema, keys, field));
  if (listType === 'set' && schema.items?.nullable === true) {
    errors.push(forbiddenField(`${field}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  }
  return errors;
}

function checkMap(schema: JsonSchema, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const mapType = schema['x-kubernetes-map-type'];
  if (mapType !== undefined && !['granular', 'atomic'].includes(mapType)) {
    errors.push(unsupportedValue(`${field}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
  }
  return errors;
}

function checkEmbedded(schema: JsonSchema, field: string): FieldError[] {
  if (schema['x-kubernetes-embedded-resource'] !== true) return [];
  const errors: FieldError[] = [];
  if (schema.type !== 'object') {
    errors.push(invalidValue(`${field}.type`, schema.type ?? '', 'must be object if x-kubernetes-embedded-resource is true'));
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] !== true && schema.properties === undefined) {
    errors.push(
      requiredValue(
        `${field}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
  }
  return errors;
}

/** apiVersion, kind and metadata are implied at the root of a resource; a schema may only narrow them. */
function checkImplied({ properties = {} }: JsonSchema, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of ['apiVersion', 'kind']) {
    const type = properties[key]?.type;
    if (type !== undefined && type !== 'string') errors.push(invalidValue(`${field}.properties[${key}].type`, type, 'must be string'));
  }
  const { metadata } = properties;
  if (metadata === undefined) return errors;
  if (metadata.type !== undefined && metadata.type !== 'object') {
    errors.push(invalidValue(`${field}.properties[metadata].type`, metadata.type, 'must be object'));
  }
  const allowed = Object.keys(metadata.properties ?? {}).every((key) => key === 'name' || key === 'generateName');
  const others = Object.keys(metadata).filter((key) => !['type', 'description', 'properties'].includes(key));
  if (!allowed || others.length > 0) {
    const detail = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    errors.push(forbiddenField(`${field}.properties[metadata]`, detail));
  }
  return errors;
}

const onlyStructural = [
  'type',
  'description',
  'title',
  'default',
  'nullable',
  'additionalProperties',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
];

/** The two forms in which types may stand in a junctor, beside `x-kubernetes-int-or-string`. */
function isIntOrString(parent: JsonSchema, part: JsonSchema): boolean {
  return (
    parent['x-kubernetes-int-or-string'] === true && Object.keys(part).length === 1 && (part.type === 'integer' || part.type === 'string')
  );
}

/** Parts of junctors validate values; the structure must be declared outside of them. */
function checkValidationPart(part: JsonSchema, outer: JsonSchema | undefined, field: string, place: string): FieldError[] {
  const errors = onlyStructural
    .filter((keyword) => Object.hasOwn(part, keyword))
    .map((keyword) => forbiddenField(`${field}.${keyword}`, 'must be empty to be structural'));
  errors.push(...checkPattern(part, field));
  for (const [key, property] of Object.entries(part.properties ?? {})) {
    const at = `${field}.properties[${key}]`;
    const declared = outer?.properties?.[key] ?? (isObject(outer?.additionalProperties) ? outer.additionalProperties : undefined);
    if (outer !== undefined && declared === undefined) {
      errors.push(
        requiredValue(`${place}.properties[${key}]`, `because it is defined in ${field.slice(place.length + 1)}.properties[${key}]`),
      );
    }
    errors.push(...checkValidationPart(property, declared, at, `${place}.properties[${key}]`));
  }
  if (part.items !== undefined) errors.push(...checkValidationPart(part.items, outer?.items, `${field}.items`, `${place}.items`));
  return [...errors, ...checkJunctors(part, outer, field, place)];
}

function checkJunctors(schema: JsonSchema, outer: JsonSchema | undefined, field: string, place: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const junctor of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, part] of (schema[junctor] ?? []).entries()) {
      if (!isIntOrString(outer ?? schema, part)) errors.push(...checkValidationPart(part, outer, `${field}.${junctor}[${index}]`, place));
    }
  }
  if (schema.not !== undefined) errors.push(...checkValidationPart(schema.not, outer, `${field}.not`, place));
  return errors;
}

function checkMembers(schema: JsonSchema, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, property] of Object.entries(schema.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    errors.push(...checkSchema(property, `${field}.properties[${key}]`, 'field'));
  }
  const { additionalProperties, items } = schema;
  if (typeof additionalProperties === 'object') errors.push(...checkSchema(additionalProperties, `${field}.additionalProperties`, 'field'));
  if (items !== undefined) errors.push(...checkSchema(items, `${field}.items`, 'item'));
  return errors;
}

function checkSchema(schema: JsonSchema, field: string, level: Level): FieldError[] {
  const resource = level === 'root' || schema['x-kubernetes-embedded-resource'] === true;
  return [
    ...checkType(schema, field, level),
    ...checkKeywords(schema, field),
    ...checkList(schema, field),
    ...checkMap(schema, field),
    ...checkEmbedded(schema, field),
    ...(resource ? checkImplied(schema, field) : []),
    ...checkJunctors(schema, schema, field, field),
    ...checkMembers(schema, field),
  ];
}

/** What keeps a schema from being structural; `field` is where it stands. Its shape must be right (see `crd-shape.ts`). */
export function structuralErrors(schema: JsonSchema, field: string): FieldError[] {
  return checkSchema(schema, field, 'root');
}

/** The shape of a CustomResourceDefinition, as far as it must be right before anything else of it can be judged. */
import type { ObjectMeta } from '../../api/object.ts';
import type { FieldError } from '../registry/status-error.ts';
import { formatPath, typeInvalid } from './field-errors.ts';
import type { PathSegment } from './field-errors.ts';
import { isObject } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';
import { compileValidator } from './validate-value.ts';
import { jsonTypeOf } from './value-checks.ts';

export interface CrdNames {
  plural?: string;
  singular?: string;
  kind?: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

export interface CrdColumn {
  name?: string;
  type?: string;
  format?: string;
  description?: string;
  priority?: number;
  jsonPath?: string;
}

export interface CrdVersion {
  name?: string;
  served?: boolean;
  storage?: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: JsonSchema };
  subresources?: { status?: object; scale?: { specReplicasPath?: string; statusReplicasPath?: string; labelSelectorPath?: string } };
  additionalPrinterColumns?: CrdColumn[];
  selectableFields?: { jsonPath?: string }[];
}

/** `apiextensions.k8s.io/v1`; every field may be missing until it is validated. */
export interface CustomResourceDefinition {
  metadata?: ObjectMeta;
  spec?: {
    group?: string;
    scope?: string;
    names?: CrdNames;
    versions?: CrdVersion[];
    conversion?: { strategy?: string };
    preserveUnknownFields?: boolean;
  };
  status?: { storedVersions?: string[] | null; conditions?: { type?: string; status?: string }[] | null };
}

const text: JsonSchema = { type: 'string', nullable: true };
const flag: JsonSchema = { type: 'boolean', nullable: true };
const texts: JsonSchema = { type: 'array', nullable: true, items: { type: 'string' } };

function object(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: 'object', nullable: true, properties };
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', nullable: true, items: { ...items, nullable: false } };
}

const column = object({ name: text, type: text, format: text, description: text, priority: { type: 'integer' }, jsonPath: text });

const version = object({
  name: text,
  served: flag,
  storage: flag,
  deprecated: flag,
  deprecationWarning: text,
  schema: object({ openAPIV3Schema: { type: 'object' } }),
  subresources: object({
    status: { type: 'object', nullable: true },
    scale: object({ specReplicasPath: text, statusReplicasPath: text, labelSelectorPath: text }),
  }),
  additionalPrinterColumns: list(column),
  selectableFields: list(object({ jsonPath: text })),
});

const shape = object({
  metadata: { type: 'object' },
  spec: object({
    group: text,
    scope: text,
    names: object({ plural: text, singular: text, kind: text, listKind: text, shortNames: texts, categories: texts }),
    versions: list(version),
    conversion: object({ strategy: text }),
    preserveUnknownFields: flag,
  }),
  status: object({ storedVersions: texts, conditions: list(object({ type: text, status: text })) }),
});

const checkShape = compileValidator({ ...shape, nullable: false });

type KeywordShape = 'text' | 'number' | 'flag' | 'texts' | 'values' | 'schema' | 'schemas' | 'schemaMap' | 'rules';

const keywordShapes: Readonly<Record<string, KeywordShape>> = {
  type: 'text',
  format: 'text',
  description: 'text',
  title: 'text',
  pattern: 'text',
  nullable: 'flag',
  uniqueItems: 'flag',
  exclusiveMinimum: 'flag',
  exclusiveMaximum: 'flag',
  minimum: 'number',
  maximum: 'number',
  multipleOf: 'number',
  minLength: 'number',
  maxLength: 'number',
  minItems: 'number',
  maxItems: 'number',
  minProperties: 'number',
  maxProperties: 'number',
  required: 'texts',
  enum: 'values',
  properties: 'schemaMap',
  items: 'schema',
  not: 'schema',
  allOf: 'schemas',
  anyOf: 'schemas',
  oneOf: 'schemas',
  'x-kubernetes-preserve-unknown-fields': 'flag',
  'x-kubernetes-embedded-resource': 'flag',
  'x-kubernetes-int-or-string': 'flag',
  'x-kubernetes-list-type': 'text',
  'x-kubernetes-map-type': 'text',
  'x-kubernetes-list-map-keys': 'texts',
  'x-kubernetes-validations': 'rules',
};

const typeOfShape: Readonly<Record<KeywordShape, string>> = {
  text: 'string',
  number: 'number',
  flag: 'boolean',
  texts: 'array',
  values: 'array',
  schema: 'object',
  schemas: 'array',
  schemaMap: 'object',
  rules: 'array',
};

const checkTexts = compileValidator(texts);
const checkRules = compileValidator(
  list(object({ rule: { type: 'string' }, message: text, messageExpression: text, reason: text, fieldPath: text, optionalOldSelf: flag })),
);

/** Deepest schema within schemas, and most schemas in all. */
const maxSchemaDepth = 64;
const maxSchemas = 10_000;

interface Walk {
  readonly path: PathSegment[];
  readonly errors: FieldError[];
  schemas: number;
  depth: number;
}

function wrongType(walk: Walk, value: unknown, expected: string): void {
  const field = formatPath(walk.path);
  const type = jsonTypeOf(value);
  walk.errors.push(typeInvalid(field, type, `${field} in body must be of type ${expected}: ${JSON.stringify(type)}`));
}

function at(walk: Walk, segments: readonly PathSegment[], work: () => void): void {
  walk.path.push(...segments);
  work();
  walk.path.length -= segments.length;
}

function walkKeyword(value: unknown, keyword: KeywordShape, walk: Walk): void {
  const context = { path: walk.path, errors: walk.errors };
  switch (keyword) {
    case 'texts':
      checkTexts(value, context, undefined);
      return;
    case 'rules':
      checkRules(value, context, undefined);
      return;
    case 'schema':
      walkSchema(value, walk);
      return;
    case 'schemas':
      for (const [index, part] of (value as unknown[]).entries()) at(walk, [index], () => walkSchema(part, walk));
      return;
    case 'schemaMap':
      for (const [key, part] of Object.entries(value as object)) at(walk, [key], () => walkSchema(part, walk));
      return;
    default:
      return;
  }
}

function walkSchema(schema: unknown, walk: Walk): void {
  walk.schemas += 1;
  if (!isObject(schema)) {
    wrongType(walk, schema, 'object');
    return;
  }
  if (walk.depth > maxSchemaDepth || walk.schemas > maxSchemas) {
    const detail = `a schema must have at most ${maxSchemaDepth} levels and ${maxSchemas} parts`;
    if (walk.errors.length === 0)
      walk.errors.push({ reason: 'FieldValueForbidden', field: formatPath(walk.path), message: `Forbidden: ${detail}` });
    return;
  }
  walk.depth += 1;
  for (const [key, value] of Object.entries(schema)) {
    const keyword = Object.hasOwn(keywordShapes, key) ? keywordShapes[key] : undefined;
    const { additionalProperties } = schema;
    if (key === 'additionalProperties' && typeof additionalProperties !== 'boolean') at(walk, [key], () => walkSchema(value, walk));
    if (keyword === undefined || value === null) continue;
    const type = jsonTypeOf(value);
    const expected = typeOfShape[keyword];
    at(walk, [key], () => {
      if (type !== expected && !(type === 'integer' && expected === 'number')) wrongType(walk, value, expected);
      else walkKeyword(value, keyword, walk);
    });
  }
  walk.depth -= 1;
}

/** What of the shape is wrong; with none, the object can be taken for a {@link CustomResourceDefinition} whose nulls stand for absence. */
export function shapeErrors(crd: unknown): FieldError[] {
  const errors: FieldError[] = [];
  checkShape(crd, { path: [], errors }, undefined);
  if (errors.length > 0) return errors;
  const versions = (crd as CustomResourceDefinition).spec?.versions ?? [];
  const walk: Walk = { path: [], errors, schemas: 0, depth: 0 };
  for (const [index, { schema }] of versions.entries()) {
    const declared = schema?.openAPIV3Schema;
    if (declared !== undefined) at(walk, ['spec', 'versions', index, 'schema', 'openAPIV3Schema'], () => walkSchema(declared, walk));
  }
  return errors;
}

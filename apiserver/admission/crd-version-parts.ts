/** What a version of a CRD says besides its schema: printer columns, selectable fields, subresources. */
import type { FieldError } from '../registry/status-error.ts';
import type { CrdColumn, CrdVersion } from './crd-shape.ts';
import { duplicateValue, invalidValue, requiredValue, tooMany } from './field-errors.ts';
import { compileJsonPath, simplePath } from './json-path.ts';
import type { JsonSchema } from './structural-schema.ts';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const maxSelectableFields = 8;

function pathProblem(path: string): string | undefined {
  try {
    if (!path.startsWith('.')) return `is an invalid jsonpath: ${path} must start with .`;
    compileJsonPath(path);
    return undefined;
  } catch (error) {
    return `is an invalid jsonpath: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function columnErrors({ name = '', type = '', format = '', jsonPath = '' }: CrdColumn, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (name === '') errors.push(requiredValue(`${field}.name`));
  if (type === '') errors.push(requiredValue(`${field}.type`, `must be one of ${columnTypes.join(',')}`));
  else if (!columnTypes.includes(type)) errors.push(invalidValue(`${field}.type`, type, `must be one of ${columnTypes.join(',')}`));
  if (format !== '' && !columnFormats.includes(format)) {
    errors.push(invalidValue(`${field}.format`, format, `must be one of ${columnFormats.join(',')}`));
  }
  if (jsonPath === '') errors.push(requiredValue(`${field}.JSONPath`));
  else {
    const problem = pathProblem(jsonPath);
    if (problem !== undefined) errors.push(invalidValue(`${field}.JSONPath`, jsonPath, problem));
  }
  return errors;
}

function schemaAt(schema: JsonSchema | undefined, path: readonly string[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>((current, name) => {
    const properties = current?.properties;
    return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
  }, schema);
}

function selectablePathErrors(jsonPath: string, schema: JsonSchema | undefined, field: string): FieldError[] {
  if (jsonPath === '') return [requiredValue(field)];
  const names = simplePath(jsonPath);
  if (names === undefined) return [invalidValue(field, jsonPath, 'is an invalid path: only plain field names are allowed')];
  if (names[0] === 'metadata') return [invalidValue(field, jsonPath, 'must not point to fields in metadata')];
  const found = schemaAt(schema, names);
  if (found === undefined) return [invalidValue(field, jsonPath, 'is an invalid path: does not refer to a valid field')];
  if (['string', 'boolean', 'integer'].includes(found.type ?? '')) return [];
  const detail = 'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.';
  return [invalidValue(field, jsonPath, detail)];
}

function selectableErrors({ selectableFields, schema }: CrdVersion, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  const fields = selectableFields ?? [];
  if (fields.length > maxSelectableFields) errors.push(tooMany(field, fields.length, maxSelectableFields));
  for (const [index, { jsonPath = '' }] of fields.entries()) {
    const at = `${field}[${index}].jsonPath`;
    errors.push(...selectablePathErrors(jsonPath, schema?.openAPIV3Schema, at));
    if (seen.has(jsonPath)) errors.push(duplicateValue(at, jsonPath));
    seen.add(jsonPath);
  }
  return errors;
}

function scalePathError(path: string, roots: readonly string[], field: string): FieldError[] {
  if (path === '') return [requiredValue(field)];
  if (simplePath(path) === undefined) return [invalidValue(field, path, 'is an invalid jsonpath')];
  if (roots.some((root) => path.startsWith(`${root}.`))) return [];
  return [invalidValue(field, path, `should be a json path under ${roots.join(' or ')}`)];
}

function scaleErrors({ subresources }: CrdVersion, field: string): FieldError[] {
  const scale = subresources?.scale;
  if (!scale) return [];
  return [
    ...scalePathError(scale.specReplicasPath ?? '', ['.spec'], `${field}.scale.specReplicasPath`),
    ...scalePathError(scale.statusReplicasPath ?? '', ['.status'], `${field}.scale.statusReplicasPath`),
    ...(scale.labelSelectorPath ? scalePathError(scale.labelSelectorPath, ['.spec', '.status'], `${field}.scale.labelSelectorPath`) : []),
  ];
}

/** `field` is where the version's parts stand: `spec`, or `spec.versions[0]`. */
export function versionPartErrors(version: CrdVersion, field: string): FieldError[] {
  const columns = version.additionalPrinterColumns ?? [];
  return [
    ...scaleErrors(version, `${field}.subresources`),
    ...columns.flatMap((column, index) => columnErrors(column, `${field}.additionalPrinterColumns[${index}]`)),
    ...selectableErrors(version, `${field}.selectableFields`),
  ];
}

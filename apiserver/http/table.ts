/** Server-side printing: objects as rows of a `meta.k8s.io` Table. Pure; after apiextensions-apiserver `tableconvertor.go`. */
import type { KubernetesObject } from '../../api/object.ts';
import { compileJsonPath } from '../admission/json-path.ts';
import type { PrinterColumn, ResourceDefinition, StoredObject } from '../registry/resource.ts';
import { badRequest } from '../registry/status-error.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { partialMetadata } from './partial-metadata.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface Table {
  kind: 'Table';
  apiVersion: string;
  metadata: Record<string, unknown>;
  columnDefinitions?: ColumnDefinition[];
  rows: TableRow[];
}

interface ColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

interface TableRow {
  cells: unknown[];
  object: unknown;
}

export interface TableOptions {
  version: 'v1' | 'v1beta1';
  includeObject: IncludeObject;
  /** Milliseconds since the epoch; ages are counted from here. */
  nowMs: number;
}

const nameColumn: ColumnDefinition = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names',
  priority: 0,
};
const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  format: '',
  description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
  priority: 0,
  value: '.metadata.creationTimestamp',
};

export function parseIncludeObject(value: string | null): IncludeObject {
  if (value === null || value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** A definition without columns of its own shows name and age. */
function columnsOf(definition: ResourceDefinition): readonly PrinterColumn[] {
  return definition.printerColumns.length === 0 ? [ageColumn] : definition.printerColumns;
}

export function columnDefinitionsOf(definition: ResourceDefinition): ColumnDefinition[] {
  const own = columnsOf(definition).map(({ name, type, format, description, priority, value }) => ({
    name,
    type,
    format,
    description:
      description !== '' || typeof value !== 'string' ? description : `Custom resource definition column (in JSONPath format): ${value}`,
    priority,
  }));
  return namesItself(definition) ? own : [nameColumn, ...own];
}

/** Events, for example, print no name first. */
function namesItself(definition: ResourceDefinition): boolean {
  return definition.printerColumns[0]?.format === 'name' || (!definition.custom && definition.kind === 'Event');
}

export function tableRow(definition: ResourceDefinition, stored: StoredObject, options: TableOptions): TableRow {
  const { object } = stored;
  const own = columnsOf(definition).map((column) => cell(column, object, options.nowMs));
  return { cells: namesItself(definition) ? own : [object.metadata.name ?? '', ...own], object: includedObject(object, options) };
}

function includedObject(object: KubernetesObject, { includeObject, version }: TableOptions): unknown {
  switch (includeObject) {
    case 'None':
      return null;
    case 'Metadata':
      return partialMetadata(object, version);
    case 'Object':
      return object;
  }
}

/** The table of a list, or of one object. `metadata` is the list's. */
export function tableOf(
  definition: ResourceDefinition,
  items: readonly StoredObject[],
  metadata: Record<string, unknown>,
  options: TableOptions,
): Table {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    columnDefinitions: columnDefinitionsOf(definition),
    rows: items.map((item) => tableRow(definition, item, options)),
  };
}

function cell(column: PrinterColumn, object: KubernetesObject, nowMs: number): unknown {
  if (typeof column.value === 'function') return column.value(object, nowMs) ?? null;
  const value = firstMatch(column.value, object);
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? age(value, nowMs) : null;
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value);
    default:
      return null;
  }
}

/** How long ago a timestamp was; `<invalid>` for what is none. */
export function age(timestamp: string, nowMs: number): string {
  const timeMs = /^\d{4}-\d{2}-\d{2}[Tt ]/u.test(timestamp) ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(timeMs) ? '<invalid>' : humanDuration(nowMs - timeMs);
}

const compiled = new Map<string, (object: unknown) => unknown[]>();
/** Paths come from CRDs; more of them than this are compiled anew each time. */
const mostCompiled = 5000;

function firstMatch(path: string, object: KubernetesObject): unknown {
  let find = compiled.get(path);
  if (find === undefined) {
    find = compileJsonPath(path);
    if (compiled.size < mostCompiled) compiled.set(path, find);
  }
  return find(object)[0];
}

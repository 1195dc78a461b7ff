/** Columns that many built-in types have, with the texts of Kubernetes' `pkg/printers/internalversion`. */
import type { KubernetesObject } from '../../api/object.ts';
import type { JsonObject } from '../admission/json-value.ts';
import type { PrinterColumn } from './resource.ts';

export const nameColumn: PrinterColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace. Cannot be updated.',
  priority: 0,
  value: '.metadata.name',
};
export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  format: '',
  description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
  priority: 0,
  value: '.metadata.creationTimestamp',
};

export function column(name: string, type: string, description: string, value: (object: JsonObject) => unknown): PrinterColumn {
  const read = (object: KubernetesObject): unknown => value(object as unknown as JsonObject);
  return { name, type, format: '', description, priority: 0, value: read };
}

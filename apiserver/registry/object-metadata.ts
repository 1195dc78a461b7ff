/** What the server itself decides of an object's metadata; the form of what users write is checked in `admission/object-meta.ts`. */
import type { FieldError } from './status-error.ts';
import { metadataOf } from './decode-object.ts';
import type { ResourceContext } from './resource-context.ts';
import type { WriteOptions } from './resource.ts';
import type { JsonObject } from './json-value.ts';

/** `meta/v1.Time`: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function checkNewMetadata(_context: ResourceContext, object: JsonObject, _options: WriteOptions): FieldError[] {
  const { name } = metadataOf(object);
  if (typeof name === 'string' && name !== '') return [];
  return [{ reason: 'FieldValueRequired', field: 'metadata.name', message: 'Required value: name or generateName is required' }];
}

export function checkChangedMetadata(
  _context: ResourceContext,
  _object: JsonObject,
  _old: JsonObject,
  _options: WriteOptions,
): FieldError[] {
  return [];
}

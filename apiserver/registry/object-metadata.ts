/** What the server itself makes of an object's metadata; the form of what users write is checked in `admission/object-meta.ts`. */
import type { ObjectMeta } from '../../api/object.ts';
import { finalizerWarnings, validateObjectMeta, validateObjectMetaUpdate } from '../admission/object-meta.ts';
import { metadataOf } from './decode-object.ts';
import type { JsonObject } from '../admission/json-value.ts';
import type { ResourceContext } from './resource-context.ts';
import type { WriteOptions } from './resource.ts';
import type { FieldError } from './status-error.ts';

/** `meta/v1.Time`: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function checkNewMetadata(context: ResourceContext, object: JsonObject, options: WriteOptions): FieldError[] {
  const metadata = metadataOf(object);
  const errors = validateObjectMeta(metadata, { namespaced: context.definition.namespaced, nameRule: context.stored.strategy.nameRule });
  if (errors.length === 0) warn(options, finalizerWarnings(metadata));
  return errors;
}

export function checkChangedMetadata(object: JsonObject, old: JsonObject, options: WriteOptions): FieldError[] {
  const metadata = metadataOf(object);
  const oldMetadata = metadataOf(old) as ObjectMeta;
  const errors = validateObjectMetaUpdate(metadata, oldMetadata);
  if (errors.length === 0) warn(options, finalizerWarnings(metadata, oldMetadata));
  return errors;
}

/** Once each: a write may be tried several times. */
function warn({ warnings }: WriteOptions, texts: readonly string[]): void {
  for (const text of texts) if (!warnings.includes(text)) warnings.push(text);
}

/** Objects and lists in the form that the client negotiated. Kept bytes go out as they are wherever the form allows it. */
import { apiVersionOf } from '../../api/resource-type.ts';
import type { ObjectList, ResourceDefinition, StoredObject } from '../registry/resource.ts';
import type { Answer } from './answer.ts';
import { answerWith, mediaTypeOf } from './answer.ts';
import type { Format } from './negotiate.ts';
import { notAcceptable } from './negotiate.ts';
import { partialMetadata } from './partial-metadata.ts';
import type { IncludeObject } from './table.ts';
import { tableOf } from './table.ts';

export interface Presentation {
  format: Format;
  includeObject: IncludeObject;
  nowMs: number;
}

/** Bytes up to which a list is laid out as YAML. Beyond, it is JSON, which is YAML too and costs nothing to make. */
const largestYaml = 1024 * 1024;
const newline = Buffer.from('\n');
const comma = Buffer.from(',');
const listEnd = Buffer.from(']}\n');

export function encodeObject(code: number, definition: ResourceDefinition, stored: StoredObject, presentation: Presentation): Answer {
  const { encoding, as } = presentation.format;
  switch (as?.kind) {
    case undefined:
      if (encoding === 'yaml') return answerWith(code, stored.object, encoding);
      return { code, contentType: 'application/json', body: Buffer.concat([stored.bytes, newline]) };
    case 'Table': {
      const metadata = { resourceVersion: stored.object.metadata.resourceVersion };
      return answerWith(code, tableOf(definition, [stored], metadata, tableOptions(presentation)), encoding);
    }
    case 'PartialObjectMetadata':
      return answerWith(code, partialMetadata(stored.object, as.version), encoding);
    case 'PartialObjectMetadataList':
      throw notAcceptable('you requested PartialObjectMetadataList, but the requested object is not a list');
  }
}

export function encodeList(definition: ResourceDefinition, list: ObjectList, presentation: Presentation): Answer {
  const { encoding, as } = presentation.format;
  const metadata = {
    resourceVersion: list.resourceVersion,
    ...(list.continue === undefined ? {} : { continue: list.continue }),
    ...(list.remainingItemCount === undefined ? {} : { remainingItemCount: list.remainingItemCount }),
  };
  const head = { kind: definition.listKind, apiVersion: apiVersionOf(definition), metadata };
  switch (as?.kind) {
    case undefined:
      if (encoding === 'yaml' && bytesOf(list.items) <= largestYaml) {
        return answerWith(200, { ...head, items: list.items.map((item) => item.object) }, encoding);
      }
      return { code: 200, contentType: mediaTypeOf(encoding), ...joinItems(head, list.items) };
    case 'Table':
      return answerWith(200, tableOf(definition, list.items, metadata, tableOptions(presentation)), encoding);
    case 'PartialObjectMetadataList': {
      const items = list.items.map((item) => partialMetadata(item.object, as.version));
      const partial = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${as.version}`, metadata, items };
      return answerWith(200, partial, encoding);
    }
    case 'PartialObjectMetadata':
      throw notAcceptable('you requested PartialObjectMetadata, but the requested object is a list');
  }
}

function bytesOf(items: readonly StoredObject[]): number {
  return items.reduce((sum, item) => sum + item.bytes.length, 0);
}

function joinItems(head: object, items: readonly StoredObject[]): Pick<Answer, 'body' | 'more'> {
  const more: Uint8Array[] = [];
  items.forEach((item, index) => {
    if (index > 0) more.push(comma);
    more.push(item.bytes);
  });
  more.push(listEnd);
  return { body: Buffer.from(`${JSON.stringify(head).slice(0, -1)},"items":[`), more };
}

function tableOptions({ format, includeObject, nowMs }: Presentation): {
  version: 'v1' | 'v1beta1';
  includeObject: IncludeObject;
  nowMs: number;
} {
  return { version: format.as?.version ?? 'v1', includeObject, nowMs };
}

/** Watch events as lines of JSON, one encoder for each client. */
import { apiVersionOf } from '../../api/resource-type.ts';
import type { ResourceDefinition, WatchEvent } from '../registry/resource.ts';
import type { Presentation } from './encode-objects.ts';
import { statusOfError } from './error-status.ts';
import { notAcceptable } from './negotiate.ts';
import { partialMetadata } from './partial-metadata.ts';
import { columnDefinitionsOf, tableRow } from './table.ts';

/** The pieces of one line, in order; those of an object are shared with every other client. */
export type EncodeEvent = (event: WatchEvent) => readonly Uint8Array[];

const prefixes = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};
const suffix = Buffer.from('}\n');
const initialEventsEnd = { annotations: { 'k8s.io/initial-events-end': 'true' } };

/** `clock` answers milliseconds since the epoch: ages in a table are those at the time of the event. */
export function watchEncoder(definition: ResourceDefinition, presentation: Presentation, clock: () => number): EncodeEvent {
  const { as, encoding } = presentation.format;
  if (encoding === 'yaml')
    throw notAcceptable('only the following media types are accepted: application/json, application/json;stream=watch');
  switch (as?.kind) {
    case undefined:
      return (event) => (event.type === 'BOOKMARK' ? bookmark(definition, event) : [prefixes[event.type], event.stored.bytes, suffix]);
    case 'Table':
      return tableEncoder(definition, { ...presentation, version: as.version }, clock);
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList': {
      const type = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${as.version}` };
      return (event) =>
        event.type === 'BOOKMARK'
          ? [line('BOOKMARK', { ...type, metadata: bookmarkMetadata(event) })]
          : [line(event.type, partialMetadata(event.stored.object, as.version))];
    }
  }
}

export function errorLine(error: unknown): Uint8Array {
  return line('ERROR', statusOfError(error).status);
}

function tableEncoder(
  definition: ResourceDefinition,
  options: Presentation & { version: 'v1' | 'v1beta1' },
  clock: () => number,
): EncodeEvent {
  const head = { kind: 'Table', apiVersion: `meta.k8s.io/${options.version}` };
  let columnDefinitions: unknown = columnDefinitionsOf(definition);
  return (event) => {
    if (event.type === 'BOOKMARK')
      return [line('BOOKMARK', { ...head, metadata: bookmarkMetadata(event), columnDefinitions: null, rows: [] })];
    const metadata = { resourceVersion: event.stored.object.metadata.resourceVersion };
    const rows = [tableRow(definition, event.stored, { ...options, nowMs: clock() })];
    const table = { ...head, metadata, columnDefinitions, rows };
    columnDefinitions = null;
    return [line(event.type, table)];
  };
}

type Bookmark = Extract<WatchEvent, { type: 'BOOKMARK' }>;

function bookmark(definition: ResourceDefinition, event: Bookmark): Uint8Array[] {
  return [line('BOOKMARK', { kind: definition.kind, apiVersion: apiVersionOf(definition), metadata: bookmarkMetadata(event) })];
}

function bookmarkMetadata(event: Bookmark): Record<string, unknown> {
  return { resourceVersion: String(event.revision), creationTimestamp: null, ...(event.initialEventsEnd ? initialEventsEnd : {}) };
}

function line(type: string, object: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}

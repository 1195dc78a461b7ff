/** Events: one stored form, `v1`, which `events.k8s.io/v1` shows under other names (Kubernetes' `pkg/apis/events/v1/conversion.go`). */
import type { KubernetesObject } from '../../api/object.ts';
import { isObject, objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import type { PrinterColumn } from './resource.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import type { VersionConversion } from './version-view.ts';
import { ageText } from './printed-age.ts';

/** Name in `events.k8s.io/v1` to name in `v1`; all other fields are called the same. */
const renamed: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

export const newEventConversion: VersionConversion = {
  fromStored: (stored) => rename({ ...stored, apiVersion: 'events.k8s.io/v1' }, new Map(renamed.map(([to, from]) => [from, to]))),
  toStored: (object) => {
    const stored = rename({ ...object, apiVersion: 'v1' }, new Map(renamed));
    stored['involvedObject'] ??= {};
    return stored;
  },
};

function rename(object: JsonObject, names: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [names.get(key) ?? key, value]));
}

export const eventStrategy: ResourceStrategy = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: true,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
  // kube-apiserver's --event-ttl.
  timeToLiveSeconds: 3600,
  validate(event) {
    const field = event['involvedObject'] === undefined ? 'regarding' : 'involvedObject';
    const about = valueAt(event, [field, 'namespace']);
    const namespace = valueAt(event, ['metadata', 'namespace']);
    // What is said of a cluster-scoped object stands in the default namespace.
    const isRight = about === undefined || about === '' ? namespace === 'default' : about === namespace;
    if (isRight) return [];
    const message = `Invalid value: ${JSON.stringify(about ?? '')}: does not match event.namespace`;
    return [{ reason: 'FieldValueInvalid', field: `${field}.namespace`, message }];
  },
};

export const coreEventFields = eventFields('involvedObject', [
  ['source', ['source', 'component']],
  ['reportingComponent', ['reportingComponent']],
]);
export const newEventFields = eventFields('regarding', [['reportingController', ['reportingController']]]);

function eventFields(about: string, more: [string, string[]][]): ReadonlyMap<string, readonly string[]> {
  const parts = ['apiVersion', 'kind', 'namespace', 'name', 'uid', 'resourceVersion', 'fieldPath'];
  return new Map<string, readonly string[]>([
    ...parts.map((part): [string, string[]] => [`${about}.${part}`, [about, part]]),
    ['reason', ['reason']],
    ['type', ['type']],
    ...more,
  ]);
}

/** After Kubernetes' `pkg/printers/internalversion` for events; both versions. */
export const eventColumns: readonly PrinterColumn[] = [
  column('Last Seen', 'The time at which the most recent occurrence of this event was recorded.', 0, lastSeen),
  column('Type', 'Type of this event (Normal, Warning), new types could be added in the future', 0, (event) => event['type'] ?? ''),
  column(
    'Reason',
    "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
    0,
    (event) => event['reason'] ?? '',
  ),
  column('Object', 'The object that this event is about.', 0, (event) => {
    const { kind, name } = regarding(event);
    return `${textOf(kind).toLowerCase()}/${textOf(name)}`;
  }),
  column('Subobject', 'The part of the object that this event is about.', 1, (event) => regarding(event)['fieldPath'] ?? ''),
  column('Source', 'The component reporting this event. Should be a short machine understandable string.', 1, source),
  column('Message', 'A human-readable description of the status of this operation.', 0, (event) =>
    textOf(event['message'] ?? event['note']).trim(),
  ),
  column('First Seen', 'The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)', 1, firstSeen),
  column('Count', 'The number of times this event has occurred.', 1, occurrences),
  {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'Name must be unique within a namespace.',
    priority: 1,
    value: '.metadata.name',
  },
];

function column(name: string, description: string, priority: number, value: (event: JsonObject, nowMs: number) => unknown): PrinterColumn {
  const read = (object: KubernetesObject, nowMs: number): unknown => value(object as unknown as JsonObject, nowMs);
  return { name, type: 'string', format: '', description, priority, value: read };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function regarding(event: JsonObject): JsonObject {
  return objectAt(event, 'involvedObject') ?? objectAt(event, 'regarding') ?? {};
}

function source(event: JsonObject): string {
  const { component = '', host } = objectAt(event, 'source') ?? objectAt(event, 'deprecatedSource') ?? {};
  const reporter = component === '' ? (event['reportingComponent'] ?? event['reportingController'] ?? '') : component;
  return [reporter, host].filter((part) => part !== undefined && part !== '').join(', ');
}

function firstSeen(event: JsonObject, nowMs: number): string {
  return ageText(event['firstTimestamp'] ?? event['deprecatedFirstTimestamp'] ?? event['eventTime'], nowMs);
}

function lastSeen(event: JsonObject, nowMs: number): string {
  const series = event['series'];
  const times = [isObject(series) ? series['lastObservedTime'] : undefined, event['lastTimestamp'], event['deprecatedLastTimestamp']];
  return ageText(times.find((time) => typeof time === 'string') ?? event['firstTimestamp'] ?? event['eventTime'], nowMs);
}

function occurrences(event: JsonObject): number {
  const series = event['series'];
  const seen = (isObject(series) ? series['count'] : undefined) ?? event['count'] ?? event['deprecatedCount'];
  return typeof seen === 'number' && seen > 0 ? seen : 1;
}

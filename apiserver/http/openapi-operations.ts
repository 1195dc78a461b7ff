/** The operations on a resource as data, from which both versions of OpenAPI are written. Pure. */
import type { ResourceDefinition } from '../registry/resource.ts';
import { patchMediaTypesOf } from './negotiate.ts';

export interface Operation {
  path: string;
  method: 'get' | 'put' | 'post' | 'delete' | 'patch';
  /** `x-kubernetes-action`. */
  action: string;
  id: string;
  description: string;
  /** Media types of the body; empty when there is none. */
  consumes: readonly string[];
  /** What the body is; `patch` and `deleteOptions` have schemas of their own. */
  body: 'object' | 'patch' | 'deleteOptions' | 'none';
  answer: 'object' | 'list' | 'status';
  query: readonly QueryParameter[];
}

export interface QueryParameter {
  name: string;
  type: 'string' | 'boolean' | 'integer';
  description: string;
}

const dryRun: QueryParameter = {
  name: 'dryRun',
  type: 'string',
  description: 'All: go through every stage of the request, but store nothing.',
};
const fieldManager: QueryParameter = {
  name: 'fieldManager',
  type: 'string',
  description: 'Who makes this change; at most 128 printable characters.',
};
const fieldValidation: QueryParameter = {
  name: 'fieldValidation',
  type: 'string',
  description: 'What to do about unknown and duplicate fields: Ignore, Warn or Strict.',
};
const force: QueryParameter = { name: 'force', type: 'boolean', description: 'Take over fields that others manage; for apply only.' };
const writing = [dryRun, fieldManager, fieldValidation];
const listing: QueryParameter[] = [
  { name: 'allowWatchBookmarks', type: 'boolean', description: 'Ask for events of type BOOKMARK in a watch.' },
  { name: 'continue', type: 'string', description: 'Where the list goes on, from the answer before.' },
  { name: 'fieldSelector', type: 'string', description: 'Restricts the objects by their fields.' },
  { name: 'labelSelector', type: 'string', description: 'Restricts the objects by their labels.' },
  { name: 'limit', type: 'integer', description: 'The most objects to answer with.' },
  { name: 'resourceVersion', type: 'string', description: 'How fresh the answer must be.' },
  { name: 'resourceVersionMatch', type: 'string', description: 'How resourceVersion is meant.' },
  { name: 'sendInitialEvents', type: 'boolean', description: 'Begin a watch with what is there.' },
  { name: 'timeoutSeconds', type: 'integer', description: 'How long the call may take.' },
  { name: 'watch', type: 'boolean', description: 'Answer with changes as they come.' },
];
const deleting: QueryParameter[] = [
  dryRun,
  { name: 'gracePeriodSeconds', type: 'integer', description: 'How long the object may take to go.' },
  { name: 'orphanDependents', type: 'boolean', description: 'Deprecated: use propagationPolicy.' },
  { name: 'propagationPolicy', type: 'string', description: 'What becomes of dependents: Orphan, Background or Foreground.' },
];
const json = ['application/json', 'application/yaml'];

export function operationsOf(definition: ResourceDefinition): Operation[] {
  const { group, version, resource, kind, namespaced, verbs } = definition;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const collection = `${root}${namespaced ? '/namespaces/{namespace}' : ''}/${resource}`;
  const named = `${collection}/{name}`;
  const scope = namespaced ? 'Namespaced' : '';
  const patchTypes = patchMediaTypesOf(definition.patchTypes);
  const none = { consumes: [], body: 'none' } as const;
  const change = { consumes: json, body: 'object', answer: 'object', query: writing } as const;
  const patch = { consumes: patchTypes, body: 'patch', answer: 'object', query: [...writing, force] } as const;
  const describe = (action: string, what: string): { id: string; description: string } => ({
    id: `${action}${pascal(group === '' ? 'core' : group)}${pascal(version)}${scope}${what}`,
    description: `${action} ${what}`,
  });
  const operations: [verb: string, operation: Operation][] = [
    ['list', { path: collection, method: 'get', action: 'list', ...describe('list', kind), ...none, answer: 'list', query: listing }],
    ['create', { path: collection, method: 'post', action: 'post', ...describe('create', kind), ...change }],
    [
      'deletecollection',
      {
        path: collection,
        method: 'delete',
        action: 'deletecollection',
        ...describe('deletecollection', kind),
        consumes: json,
        body: 'deleteOptions',
        answer: 'status',
        query: [...listing, ...deleting],
      },
    ],
    ['get', { path: named, method: 'get', action: 'get', ...describe('read', kind), ...none, answer: 'object', query: [] }],
    ['update', { path: named, method: 'put', action: 'put', ...describe('replace', kind), ...change }],
    [
      'delete',
      {
        path: named,
        method: 'delete',
        action: 'delete',
        ...describe('delete', kind),
        consumes: json,
        body: 'deleteOptions',
        answer: 'status',
        query: deleting,
      },
    ],
    ['patch', { path: named, method: 'patch', action: 'patch', ...describe('patch', kind), ...patch }],
  ];
  const offered = operations.filter(([verb]) => verbs.includes(verb)).map(([, operation]) => operation);
  for (const { name, verbs: served, field } of definition.subresources) {
    if (field === undefined) continue;
    const path = `${named}/${name}`;
    const part = `${kind}${pascal(name)}`;
    const parts: typeof operations = [
      ['get', { path, method: 'get', action: 'get', ...describe('read', part), ...none, answer: 'object', query: [] }],
      ['update', { path, method: 'put', action: 'put', ...describe('replace', part), ...change }],
      ['patch', { path, method: 'patch', action: 'patch', ...describe('patch', part), ...patch }],
    ];
    offered.push(...parts.filter(([verb]) => served.includes(verb)).map(([, operation]) => operation));
  }
  if (namespaced && verbs.includes('list')) {
    const path = `${root}/${resource}`;
    offered.push({
      path,
      method: 'get',
      action: 'list',
      ...describe('list', `${kind}ForAllNamespaces`),
      ...none,
      answer: 'list',
      query: listing,
    });
  }
  return offered;
}

function pascal(text: string): string {
  return text.replace(/(?:^|[^a-zA-Z0-9]+)([a-zA-Z0-9])/gu, (_match, letter: string) => letter.toUpperCase());
}

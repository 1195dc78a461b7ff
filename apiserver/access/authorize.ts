/** Who may do what: a fixed table in the shape of RBAC's rules. Pure. */
import { controllerUser, mastersGroup, providerLeaseNamespace, providersGroup } from '../../api/names.ts';
import type { UserInfo } from '../registry/resource.ts';
import { StatusError, qualifiedName } from '../registry/status-error.ts';

/** What a request asks for. */
export type Attributes = ResourceAttributes | { kind: 'path'; verb: string; path: string };

export interface ResourceAttributes {
  kind: 'resource';
  verb: string;
  group: string;
  resource: string;
  /** For example `status`. */
  subresource?: string;
  namespace?: string;
  name?: string;
}

interface ResourceRule {
  groups: readonly string[];
  /** `instances`, `instances/status`, or `*` for all with their subresources. */
  resources: readonly string[];
  verbs: readonly string[];
}

interface PathRule {
  /** A trailing `*` stands for anything. */
  paths: readonly string[];
  verbs: readonly string[];
}

interface Grant {
  subject: { user: string } | { group: string };
  /** Absent: everywhere. */
  namespace?: string;
  resourceRules?: readonly ResourceRule[];
  pathRules?: readonly PathRule[];
}

const read = ['get', 'list', 'watch'];
const publicPaths = ['/healthz', '/healthz/*', '/livez', '/livez/*', '/readyz', '/readyz/*', '/version', '/version/'];
const discoveryPaths = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*'];

const grants: readonly Grant[] = [
  {
    subject: { group: mastersGroup },
    resourceRules: [{ groups: ['*'], resources: ['*'], verbs: ['*'] }],
    pathRules: [{ paths: ['*'], verbs: ['*'] }],
  },
  {
    subject: { user: controllerUser },
    resourceRules: [
      { groups: ['potluck.dev'], resources: ['*'], verbs: ['*'] },
      { groups: [''], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'], verbs: ['*'] },
      { groups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*'] },
      { groups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['*'] },
      // Garbage collection and the deletion of namespaces reach every resource.
      { groups: ['*'], resources: ['*'], verbs: [...read, 'update', 'patch', 'delete', 'deletecollection'] },
    ],
  },
  {
    subject: { group: providersGroup },
    resourceRules: [
      { groups: ['potluck.dev'], resources: ['instances', 'providers'], verbs: read },
      { groups: ['potluck.dev'], resources: ['instances/status', 'providers/status'], verbs: ['update', 'patch'] },
      { groups: ['potluck.dev'], resources: ['providerinventories', 'providerinventories/status'], verbs: ['create', 'get', 'update'] },
      { groups: ['potluck.dev'], resources: ['providerreservations'], verbs: ['get'] },
      { groups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
    ],
  },
  {
    subject: { group: providersGroup },
    namespace: providerLeaseNamespace,
    resourceRules: [{ groups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create', 'get', 'update', 'patch'] }],
  },
  { subject: { group: 'system:authenticated' }, pathRules: [{ paths: [...publicPaths, ...discoveryPaths], verbs: ['get'] }] },
  { subject: { group: 'system:unauthenticated' }, pathRules: [{ paths: publicPaths, verbs: ['get'] }] },
];

export function isAllowed(user: UserInfo, attributes: Attributes): boolean {
  return grants.some((grant) => concerns(grant.subject, user) && allows(grant, attributes));
}

function concerns(subject: Grant['subject'], user: UserInfo): boolean {
  return 'user' in subject ? subject.user === user.name : user.groups.includes(subject.group);
}

function allows(grant: Grant, attributes: Attributes): boolean {
  if (attributes.kind === 'path') {
    return (grant.pathRules ?? []).some(
      (rule) => covers(rule.verbs, attributes.verb) && rule.paths.some((pattern) => matchesPath(pattern, attributes.path)),
    );
  }
  if (grant.namespace !== undefined && grant.namespace !== attributes.namespace) return false;
  const { group, resource, subresource, verb } = attributes;
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  return (grant.resourceRules ?? []).some(
    (rule) => covers(rule.groups, group) && covers(rule.resources, whole) && covers(rule.verbs, verb),
  );
}

function covers(allowed: readonly string[], asked: string): boolean {
  return allowed.includes('*') || allowed.includes(asked);
}

function matchesPath(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** 403 in the words of kube-apiserver. */
export function forbidden(user: UserInfo, attributes: Attributes): StatusError {
  const quoted = JSON.stringify;
  if (attributes.kind === 'path') {
    const { verb, path } = attributes;
    const message = `forbidden: User ${quoted(user.name)} cannot ${verb} path ${quoted(path)}`;
    return new StatusError({ message, reason: 'Forbidden', details: {}, code: 403 });
  }
  const { group, resource, subresource, namespace, name, verb } = attributes;
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  const place = namespace === undefined ? 'at the cluster scope' : `in the namespace ${quoted(namespace)}`;
  const subject = `${qualifiedName(resource, group)}${name === undefined ? '' : ` ${quoted(name)}`}`;
  return new StatusError({
    message: `${subject} is forbidden: User ${quoted(user.name)} cannot ${verb} resource ${quoted(whole)} in API group ${quoted(group)} ${place}`,
    reason: 'Forbidden',
    details: { ...(name === undefined ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource },
    code: 403,
  });
}

/** Roles and bindings as built-in types. What they allow is evaluated in `access/rbac/`. */
import { isObject, objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import type { JsonSchema } from '../admission/structural-schema.ts';
import { ageColumn, column, nameColumn } from './builtin-columns.ts';
import type { BuiltinType } from './builtin-types.ts';
import { bindingStrategy, roleStrategy } from './rbac-strategies.ts';
import type { PrinterColumn } from './resource.ts';
import { registryRoot } from './storage-keys.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const texts = (description: string): JsonSchema => ({
  type: 'array',
  nullable: true,
  items: { type: 'string' },
  description,
  'x-kubernetes-list-type': 'atomic',
});
const objects = (description: string, items: JsonSchema): JsonSchema => ({
  type: 'array',
  nullable: true,
  items,
  description,
  'x-kubernetes-list-type': 'atomic',
});
const root = (description: string, properties: Record<string, JsonSchema>): JsonSchema => ({
  type: 'object',
  description,
  properties: {
    apiVersion: text('APIVersion defines the versioned schema of this representation of an object.'),
    kind: text('Kind is a string value representing the REST resource this object represents.'),
    metadata: { type: 'object', description: "Standard object's metadata." },
    ...properties,
  },
});

const policyRule: JsonSchema = {
  type: 'object',
  description: 'PolicyRule holds information that describes a policy rule, but does not contain information about who the rule applies to.',
  properties: {
    verbs: texts("Verbs is a list of Verbs that apply to ALL the ResourceKinds contained in this rule. '*' represents all verbs."),
    apiGroups: texts('APIGroups is the name of the APIGroup that contains the resources. "" represents the core API group and "*" all.'),
    resources: texts("Resources is a list of resources this rule applies to. '*' represents all resources."),
    resourceNames: texts(
      'ResourceNames is an optional white list of names that the rule applies to. An empty set means that everything is allowed.',
    ),
    nonResourceURLs: texts(
      'NonResourceURLs is a set of partial urls that a user should have access to. *s are allowed as the full, final step in the path.',
    ),
  },
};

const labelSelector: JsonSchema = {
  type: 'object',
  description: 'A label selector: all of it must hold; an empty one matches everything.',
  properties: {
    matchLabels: { type: 'object', nullable: true, additionalProperties: { type: 'string' }, description: 'Labels that must be as given.' },
    matchExpressions: objects('Requirements on labels.', {
      type: 'object',
      description: 'One requirement.',
      properties: {
        key: text('The label that the requirement is about.'),
        operator: text('In, NotIn, Exists or DoesNotExist.'),
        values: texts('For In and NotIn: at least one value.'),
      },
    }),
  },
};

const rules = objects('Rules holds all the PolicyRules of this role.', policyRule);

const roleSchema = root('Role is a namespaced, logical grouping of PolicyRules that can be referenced as a unit by a RoleBinding.', {
  rules,
});

const clusterRoleSchema = root(
  'ClusterRole is a cluster level, logical grouping of PolicyRules that can be referenced as a unit by a RoleBinding or ClusterRoleBinding.',
  {
    rules,
    aggregationRule: {
      type: 'object',
      nullable: true,
      description: 'Describes how to build the Rules for this ClusterRole. If it is set, the Rules are made by the API server.',
      properties: {
        clusterRoleSelectors: objects('Finds ClusterRoles and takes their rules. One match of any of them is enough.', labelSelector),
      },
    },
  },
);

const bindingFields: Record<string, JsonSchema> = {
  subjects: objects('Subjects holds references to the objects the role applies to.', {
    type: 'object',
    description: 'Subject contains a reference to the object or user identities a role binding applies to.',
    properties: {
      kind: text('Kind of object being referenced: "User", "Group" or "ServiceAccount".'),
      apiGroup: text('Defaults to "" for ServiceAccount subjects and to "rbac.authorization.k8s.io" for User and Group subjects.'),
      name: text('Name of the object being referenced.'),
      namespace: text('Namespace of the referenced object, for kinds that have one.'),
    },
  }),
  roleRef: {
    type: 'object',
    description: 'The role that is given: a Role of the same namespace or a ClusterRole. It cannot be changed.',
    properties: {
      apiGroup: text('APIGroup is the group for the resource being referenced.'),
      kind: text('Kind is the type of resource being referenced.'),
      name: text('Name is the name of resource being referenced.'),
    },
  },
};

const roleBindingSchema = root(
  'RoleBinding references a role, but does not contain it. It adds who by Subjects, in the namespace that it is in.',
  bindingFields,
);
const clusterRoleBindingSchema = root(
  'ClusterRoleBinding references a ClusterRole, but not contain it. It adds who by Subjects, in every namespace.',
  bindingFields,
);

const createdColumn = column('Created At', 'date', 'When the role was created.', (object) =>
  valueAt(object, ['metadata', 'creationTimestamp']),
);

const bindingColumns: PrinterColumn[] = [
  nameColumn,
  column('Role', 'string', 'The role that is given.', (object) => {
    const { kind, name } = objectAt(object, 'roleRef') ?? {};
    return `${String(kind)}/${String(name)}`;
  }),
  ageColumn,
  ...subjectColumns(),
];

/** Only in wide output. */
function subjectColumns(): PrinterColumn[] {
  const of = (name: string, kind: string): PrinterColumn => ({
    ...column(name, 'string', `${name} that get the role.`, (object) => subjectNames(object, kind)),
    priority: 1,
  });
  return [of('Users', 'User'), of('Groups', 'Group'), of('ServiceAccounts', 'ServiceAccount')];
}

function subjectNames(binding: JsonObject, kind: string): string {
  const subjects = Array.isArray(binding['subjects']) ? (binding['subjects'] as unknown[]) : [];
  return subjects
    .filter(isObject)
    .filter((subject) => subject['kind'] === kind)
    .map(({ namespace, name }) => (kind === 'ServiceAccount' ? [namespace, name].join('/') : String(name)))
    .join(', ');
}

const shared = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;

export const rolesPrefix = `${registryRoot}roles/`;
export const clusterRolesPrefix = `${registryRoot}clusterroles/`;
export const roleBindingsPrefix = `${registryRoot}rolebindings/`;
export const clusterRoleBindingsPrefix = `${registryRoot}clusterrolebindings/`;

export const rbacTypes: readonly BuiltinType[] = [
  {
    ...shared,
    resource: 'clusterrolebindings',
    kind: 'ClusterRoleBinding',
    namespaced: false,
    schema: clusterRoleBindingSchema,
    prefix: clusterRoleBindingsPrefix,
    strategy: bindingStrategy(false),
    columns: bindingColumns,
  },
  {
    ...shared,
    resource: 'clusterroles',
    kind: 'ClusterRole',
    namespaced: false,
    schema: clusterRoleSchema,
    prefix: clusterRolesPrefix,
    strategy: roleStrategy(false),
    columns: [nameColumn, createdColumn],
  },
  {
    ...shared,
    resource: 'rolebindings',
    kind: 'RoleBinding',
    namespaced: true,
    schema: roleBindingSchema,
    prefix: roleBindingsPrefix,
    strategy: bindingStrategy(true),
    columns: bindingColumns,
  },
  {
    ...shared,
    resource: 'roles',
    kind: 'Role',
    namespaced: true,
    schema: roleSchema,
    prefix: rolesPrefix,
    strategy: roleStrategy(true),
    columns: [nameColumn, createdColumn],
  },
];

/** The types that the API server has by itself, as one table. Everything else comes from CustomResourceDefinitions. */
import type { JsonSchema } from '../admission/structural-schema.ts';
import { admissionPoliciesType, admissionPolicyBindingsType, resourceQuotasType } from './admission-types.ts';
import { ageColumn, column, nameColumn } from './builtin-columns.ts';
import {
  configMapSchema,
  coreEventSchema,
  definitionSchema,
  leaseSchema,
  namespaceSchema,
  newEventSchema,
  secretSchema,
  serviceAccountSchema,
} from './builtin-schemas.ts';
import { configMapStrategy, secretStrategy } from './data-strategies.ts';
import { definitionStrategy } from './definition-strategy.ts';
import { coreEventFields, eventColumns, eventStrategy, newEventConversion, newEventFields } from './event-type.ts';
import { objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import { leaseStrategy } from './lease-strategy.ts';
import { namespaceStrategy } from './namespace-strategy.ts';
import { rbacTypes } from './rbac-types.ts';
import type { PrinterColumn } from './resource.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import { signingRequestsType } from './signing-request-type.ts';
import { registryRoot } from './storage-keys.ts';
import { finalizeSubresource, statusSubresource, tokenSubresource, type SubresourceDefinition } from './subresources.ts';
import type { VersionConversion } from './version-view.ts';

export interface BuiltinType {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  shortNames?: readonly string[];
  categories?: readonly string[];
  schema: JsonSchema;
  /** Types with the same prefix share their objects, stored as the first one of them has it. */
  prefix: string;
  strategy: ResourceStrategy;
  conversion?: VersionConversion;
  subresources?: readonly SubresourceDefinition[];
  /** Field selectors beyond the metadata's. */
  fields?: ReadonlyMap<string, readonly string[]>;
  columns: readonly PrinterColumn[];
}

function countOfKeys(object: JsonObject, ...fields: string[]): number {
  return fields.reduce((sum, field) => sum + Object.keys(objectAt(object, field) ?? {}).length, 0);
}

const prefixOf = (resource: string): string => `${registryRoot}${resource}/`;

const serviceAccountStrategy: ResourceStrategy = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
};

const eventShape = { resource: 'events', kind: 'Event', namespaced: true, shortNames: ['ev'], prefix: prefixOf('events') };

export const definitionsType: BuiltinType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  schema: definitionSchema,
  prefix: prefixOf('apiextensions.k8s.io/customresourcedefinitions'),
  strategy: definitionStrategy,
  subresources: [statusSubresource],
  columns: [
    nameColumn,
    column('Created At', 'date', 'When the definition was created.', (object) => valueAt(object, ['metadata', 'creationTimestamp'])),
  ],
};

export const namespacesType: BuiltinType = {
  group: '',
  version: 'v1',
  resource: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
  shortNames: ['ns'],
  schema: namespaceSchema,
  prefix: prefixOf('namespaces'),
  strategy: namespaceStrategy,
  subresources: [finalizeSubresource, statusSubresource],
  fields: new Map([['status.phase', ['status', 'phase']]]),
  columns: [
    nameColumn,
    column('Status', 'string', 'The status of the namespace', (object) => valueAt(object, ['status', 'phase']) ?? ''),
    ageColumn,
  ],
};

/** In the order of discovery. */
export const builtinTypes: readonly BuiltinType[] = [
  {
    group: '',
    version: 'v1',
    resource: 'configmaps',
    kind: 'ConfigMap',
    namespaced: true,
    shortNames: ['cm'],
    schema: configMapSchema,
    prefix: prefixOf('configmaps'),
    strategy: configMapStrategy,
    columns: [
      nameColumn,
      column('Data', 'integer', 'The number of keys in the ConfigMap.', (object) => countOfKeys(object, 'data', 'binaryData')),
      ageColumn,
    ],
  },
  {
    group: '',
    version: 'v1',
    ...eventShape,
    schema: coreEventSchema,
    strategy: eventStrategy,
    fields: coreEventFields,
    columns: eventColumns,
  },
  namespacesType,
  resourceQuotasType,
  {
    group: '',
    version: 'v1',
    resource: 'secrets',
    kind: 'Secret',
    namespaced: true,
    schema: secretSchema,
    prefix: prefixOf('secrets'),
    strategy: secretStrategy,
    fields: new Map([['type', ['type']]]),
    columns: [
      nameColumn,
      column('Type', 'string', 'Used to facilitate programmatic handling of secret data.', (object) => object['type'] ?? ''),
      column('Data', 'string', 'The number of keys in the secret.', (object) => String(countOfKeys(object, 'data'))),
      ageColumn,
    ],
  },
  {
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    kind: 'ServiceAccount',
    namespaced: true,
    shortNames: ['sa'],
    schema: serviceAccountSchema,
    prefix: prefixOf('serviceaccounts'),
    strategy: serviceAccountStrategy,
    subresources: [tokenSubresource],
    columns: [
      nameColumn,
      column('Secrets', 'string', 'The number of secrets that the account lists.', (object) => {
        const { secrets } = object;
        return String(Array.isArray(secrets) ? secrets.length : 0);
      }),
      ageColumn,
    ],
  },
  admissionPoliciesType,
  admissionPolicyBindingsType,
  definitionsType,
  signingRequestsType,
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    resource: 'leases',
    kind: 'Lease',
    namespaced: true,
    schema: leaseSchema,
    prefix: prefixOf('leases'),
    strategy: leaseStrategy,
    columns: [
      nameColumn,
      column(
        'Holder',
        'string',
        'The identity of the holder of a current lease.',
        (object) => valueAt(object, ['spec', 'holderIdentity']) ?? '',
      ),
      ageColumn,
    ],
  },
  {
    group: 'events.k8s.io',
    version: 'v1',
    ...eventShape,
    schema: newEventSchema,
    strategy: eventStrategy,
    conversion: newEventConversion,
    fields: newEventFields,
    columns: eventColumns,
  },
  ...rbacTypes,
];

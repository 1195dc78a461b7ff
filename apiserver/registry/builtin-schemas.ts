/** Schemas of the built-in types, as data. Descriptions are what `kubectl explain` shows; names and rules are Kubernetes' own. */
import type { JsonSchema } from '../admission/structural-schema.ts';

type Properties = Record<string, JsonSchema>;

const text = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', nullable: true, description });
const count = (description: string): JsonSchema => ({ type: 'integer', format: 'int32', description });
const flag = (description: string): JsonSchema => ({ type: 'boolean', description });
const texts = (description: string): JsonSchema => ({ type: 'array', items: { type: 'string' }, description });
const textMap = (description: string, format?: string): JsonSchema => ({
  type: 'object',
  nullable: true,
  description,
  additionalProperties: { type: 'string', ...(format === undefined ? {} : { format }) },
});
const object = (description: string, properties: Properties, required: string[] = []): JsonSchema => ({
  type: 'object',
  description,
  properties,
  ...(required.length === 0 ? {} : { required }),
});

/** A list that strategic merge patches merge by a key. */
const keyedList = (description: string, key: string, items: JsonSchema): JsonSchema => ({
  type: 'array',
  nullable: true,
  description,
  items,
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': key,
});

const typeMeta: Properties = {
  apiVersion: text('APIVersion defines the versioned schema of this representation of an object.'),
  kind: text('Kind is a string value representing the REST resource this object represents.'),
  metadata: { type: 'object', description: "Standard object's metadata." },
};

const root = (description: string, properties: Properties, required: string[] = []): JsonSchema =>
  object(description, { ...typeMeta, ...properties }, required);

const condition = object(
  'One aspect of the present state.',
  {
    type: text('Type of the condition.'),
    status: text('Status of the condition, one of True, False, Unknown.'),
    observedGeneration: { type: 'integer', format: 'int64', description: 'The generation that the condition was set for.' },
    lastTransitionTime: time('The last time the condition went from one status to another.'),
    reason: text('One word that says why the condition has this status.'),
    message: text('A sentence for people.'),
  },
  ['type', 'status'],
);

export const namespaceSchema = root('Namespace provides a scope for Names. Use of multiple namespaces is optional.', {
  spec: object('Spec defines the behavior of the Namespace.', {
    finalizers: texts('Finalizers is an opaque list of values that must be empty to permanently remove the namespace from storage.'),
  }),
  status: object('Status describes the current status of a Namespace.', {
    phase: text('Phase is the current lifecycle phase of the namespace: Active or Terminating.'),
    conditions: keyedList("Represents the latest available observations of a namespace's current state.", 'type', condition),
  }),
});

export const secretSchema = root(
  'Secret holds secret data of a certain type. The total bytes of the values in the Data field must be less than 1 MiB.',
  {
    data: textMap('Data contains the secret data. Each value is base64.', 'byte'),
    stringData: textMap('StringData allows specifying non-binary secret data in string form. It is write-only and is never output.'),
    type: text('Used to facilitate programmatic handling of secret data. Opaque by default.'),
    immutable: { ...flag('Immutable, if set to true, ensures that data stored in the Secret cannot be updated.'), nullable: true },
  },
);

export const configMapSchema = root('ConfigMap holds configuration data for pods to consume.', {
  data: textMap('Data contains the configuration data. Values are UTF-8.'),
  binaryData: textMap('BinaryData contains the binary data. Each value is base64.', 'byte'),
  immutable: { ...flag('Immutable, if set to true, ensures that data stored in the ConfigMap cannot be updated.'), nullable: true },
});

const objectReference = (description: string): JsonSchema =>
  object(description, {
    apiVersion: text('API version of the referent.'),
    kind: text('Kind of the referent.'),
    name: text('Name of the referent.'),
    namespace: text('Namespace of the referent.'),
    uid: text('UID of the referent.'),
    resourceVersion: text('Specific resourceVersion to which this reference is made, if any.'),
    fieldPath: text('Names a piece of the object instead of the entire object.'),
  });

export const serviceAccountSchema = root('ServiceAccount binds together a name that programs are known by, and what they may use.', {
  secrets: keyedList('Secrets that programs with this ServiceAccount may use.', 'name', objectReference('One secret.')),
  imagePullSecrets: {
    type: 'array',
    description: 'References to secrets in the same namespace to use for pulling images.',
    items: object('One secret.', { name: text('Name of the referent.') }),
  },
  automountServiceAccountToken: { ...flag('Whether programs with this service account have an API token by themselves.'), nullable: true },
});

const eventSource = (description: string): JsonSchema =>
  object(description, {
    component: text('Component from which the event is generated.'),
    host: text('Node name on which the event is generated.'),
  });

const eventSeries = object('Data about the Event series this event represents, if it is one.', {
  count: count('Number of occurrences in this series up to the last heartbeat time.'),
  lastObservedTime: time('Time of the last occurrence observed.'),
});
eventSeries.nullable = true;

const related: JsonSchema = { ...objectReference('Optional secondary object for more complex actions.'), nullable: true };

const eventCommon: Properties = {
  reason: text("A short, machine understandable string that gives the reason for the transition into the object's current status."),
  type: text('Type of this event (Normal, Warning), new types could be added in the future.'),
  action: text('What action was taken/failed regarding to the Regarding object.'),
  eventTime: time('Time when this Event was first observed.'),
  reportingInstance: text('ID of the controller instance, e.g. its host name.'),
  series: eventSeries,
  related,
};

export const coreEventSchema = root(
  'Event is a report of an event somewhere in the cluster. Events have a limited retention time.',
  {
    ...eventCommon,
    involvedObject: objectReference('The object that this event is about.'),
    message: text('A human-readable description of the status of this operation.'),
    source: eventSource('The component reporting this event. Should be a short machine understandable string.'),
    firstTimestamp: time('The time at which the event was first recorded.'),
    lastTimestamp: time('The time at which the most recent occurrence of this event was recorded.'),
    count: count('The number of times this event has occurred.'),
    reportingComponent: text('Name of the controller that emitted this Event, e.g. `kubernetes.io/kubelet`.'),
  },
  ['involvedObject'],
);

export const newEventSchema = root('Event is a report of an event somewhere in the cluster. Events have a limited retention time.', {
  ...eventCommon,
  regarding: objectReference('The object this Event is about.'),
  note: text('A human-readable description of the status of this operation.'),
  reportingController: text('Name of the controller that emitted this Event, e.g. `kubernetes.io/kubelet`.'),
  deprecatedSource: eventSource('The component reporting this event, for backward compatibility with core.v1 Event.'),
  deprecatedFirstTimestamp: time('For backward compatibility with core.v1 Event.'),
  deprecatedLastTimestamp: time('For backward compatibility with core.v1 Event.'),
  deprecatedCount: count('For backward compatibility with core.v1 Event.'),
});

export const leaseSchema = root('Lease defines a lease concept.', {
  spec: object('Spec contains the specification of the Lease.', {
    holderIdentity: { ...text('The identity of the holder of a current lease.'), nullable: true },
    leaseDurationSeconds: {
      ...count('How long candidates wait, measured against the last observed renewTime, before they take it.'),
      nullable: true,
    },
    acquireTime: time('The time when the current lease was acquired.'),
    renewTime: time('The time when the current holder of a lease has last updated the lease.'),
    leaseTransitions: { ...count('The number of transitions of a lease between holders.'), nullable: true },
  }),
});

const definitionNames = (description: string): JsonSchema =>
  object(
    description,
    {
      plural: text(
        'The plural name of the resource to serve. The custom resources are served under `/apis/<group>/<version>/.../<plural>`.',
      ),
      singular: text('The singular name of the resource. Defaults to lowercased `kind`.'),
      shortNames: texts('Short names for the resource, used by clients such as `kubectl get <shortname>`.'),
      kind: text('The serialized kind of the resource. It is normally CamelCase and singular.'),
      listKind: text('The serialized kind of the list for this resource. Defaults to "`kind`List".'),
      categories: texts('Grouped resources this custom resource belongs to (e.g. `all`).'),
    },
    ['plural', 'kind'],
  );

const printerColumn = object(
  'A column for printing.',
  {
    name: text('A human readable name for the column.'),
    type: text('An OpenAPI type definition for this column: integer, number, string, boolean or date.'),
    format: text('An optional OpenAPI type definition for this column.'),
    description: text('A human readable description of this column.'),
    priority: count('The relative importance of the column; columns with a priority greater than 0 are shown with `-o wide`.'),
    jsonPath: text('A simple JSON path which is evaluated against each custom resource to produce the value for this column.'),
  },
  ['name', 'type', 'jsonPath'],
);

const anything: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

const definitionVersion = object(
  'A version of the custom resource.',
  {
    name: text('The version name, e.g. "v1", "v2beta1".'),
    served: flag('Whether this version is served by REST APIs.'),
    storage: flag(
      'Whether this version is used when persisting custom resources to storage. There must be exactly one version with storage=true.',
    ),
    deprecated: flag('Indicates this version of the custom resource API is deprecated.'),
    deprecationWarning: { ...text('Overrides the default warning returned to API clients.'), nullable: true },
    schema: object('Describes the schema used for validation, pruning, and defaulting of this version of the custom resource.', {
      openAPIV3Schema: { ...anything, description: 'The OpenAPI v3 schema to use for validation and pruning.' },
    }),
    subresources: object('Specifies what subresources this version of the defined custom resource have.', {
      status: { ...anything, description: 'Indicates the custom resource should serve a `/status` subresource.' },
      scale: object(
        'Indicates the custom resource should serve a `/scale` subresource.',
        {
          specReplicasPath: text('The JSON path inside of a custom resource that corresponds to Scale `spec.replicas`.'),
          statusReplicasPath: text('The JSON path inside of a custom resource that corresponds to Scale `status.replicas`.'),
          labelSelectorPath: text('The JSON path inside of a custom resource that corresponds to Scale `status.selector`.'),
        },
        ['specReplicasPath', 'statusReplicasPath'],
      ),
    }),
    additionalPrinterColumns: {
      type: 'array',
      description: 'Specifies additional columns returned in Table output.',
      items: printerColumn,
    },
    selectableFields: {
      type: 'array',
      description: 'Specifies paths to fields that may be used as field selectors. A maximum of 8 selectable fields are allowed.',
      items: object('One field.', { jsonPath: text('A simple JSON path which is evaluated against each custom resource.') }, ['jsonPath']),
    },
  },
  ['name', 'served', 'storage'],
);

export const definitionSchema = root(
  'CustomResourceDefinition represents a resource that should be exposed on the API server. Its name MUST be in the format <.spec.names.plural>.<.spec.group>.',
  {
    spec: object(
      'Spec describes how the user wants the resources to appear.',
      {
        group: text('The API group of the defined custom resource.'),
        names: definitionNames('The resource and kind names for the custom resource.'),
        scope: text('Whether the defined custom resource is cluster- or namespace-scoped: `Cluster` or `Namespaced`.'),
        versions: { type: 'array', description: 'The list of all API versions of the defined custom resource.', items: definitionVersion },
        conversion: object('Defines conversion settings for the CRD.', {
          strategy: text('How custom resources are converted between versions: `None` only changes the apiVersion.'),
          webhook: { ...anything, description: 'How to call the conversion webhook.' },
        }),
        preserveUnknownFields: flag('Deprecated: must be false.'),
      },
      ['group', 'names', 'scope', 'versions'],
    ),
    status: object('Status indicates the actual state of the CustomResourceDefinition.', {
      conditions: {
        type: 'array',
        nullable: true,
        description: 'Indicates state for particular aspects of a CustomResourceDefinition.',
        items: condition,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      },
      acceptedNames: definitionNames('The names that are actually being used to serve discovery.'),
      storedVersions: texts('All versions of CustomResources that were ever persisted.'),
    }),
  },
  ['spec'],
);

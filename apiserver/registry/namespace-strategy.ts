/** Namespaces: they go in two steps, and only when a controller has emptied them (Kubernetes' `pkg/registry/core/namespace`). */
import { cloneJson, isObject, objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import { metadataOf } from './decode-object.ts';
import { gatewayLeaseNamespace, memberNamespace, providerLeaseNamespace, systemNamespace } from '../../api/names.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import type { FieldError } from './status-error.ts';

/** Holds a namespace until its contents are gone; the namespace controller takes it off through `/finalize`. */
const contentFinalizer = 'kubernetes';
const nameLabel = 'kubernetes.io/metadata.name';

/** What the API server makes at its start. */
export const initialNamespaces = [
  'default',
  'kube-system',
  systemNamespace,
  providerLeaseNamespace,
  gatewayLeaseNamespace,
  memberNamespace,
] as const;

export const namespaceStrategy: ResourceStrategy = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-label',
  protectedNames: new Set(initialNamespaces),
  prepareForCreate(namespace) {
    namespace['spec'] = { finalizers: [...new Set([...specFinalizers(namespace), contentFinalizer])] };
    namespace['status'] = { phase: 'Active' };
    labelWithName(namespace);
  },
  prepareForUpdate(namespace, old, { subresource }) {
    // Only `/finalize` changes the finalizers of the spec.
    if (subresource !== 'finalize') {
      if (old['spec'] === undefined) delete namespace['spec'];
      else namespace['spec'] = cloneJson(old['spec']);
    }
    labelWithName(namespace);
  },
  prepareForDelete(namespace) {
    namespace['status'] = { ...objectAt(namespace, 'status'), phase: 'Terminating' };
  },
  holdsDeletion: (namespace) => specFinalizers(namespace).length > 0,
  validate: (namespace, _old, subresource) => (subresource === 'status' ? phaseErrors(namespace) : []),
};

function specFinalizers(namespace: JsonObject): string[] {
  const finalizers = valueAt(namespace, ['spec', 'finalizers']);
  return Array.isArray(finalizers) ? finalizers.filter((finalizer): finalizer is string => typeof finalizer === 'string') : [];
}

function labelWithName(namespace: JsonObject): void {
  const metadata = metadataOf(namespace);
  // A wrong name or wrong labels are for validation to refuse.
  if (typeof metadata['name'] !== 'string' || (metadata['labels'] != null && !isObject(metadata['labels']))) return;
  metadata['labels'] = { ...objectAt(metadata, 'labels'), [nameLabel]: metadata['name'] };
}

function phaseErrors(namespace: JsonObject): FieldError[] {
  const phase = valueAt(namespace, ['status', 'phase']);
  const isTerminating = metadataOf(namespace)['deletionTimestamp'] !== undefined;
  const expected = isTerminating ? 'Terminating' : 'Active';
  if (phase === expected) return [];
  const when = isTerminating ? 'is not empty' : 'is empty';
  const message = `Invalid value: ${JSON.stringify(phase ?? '')}: may only be '${expected}' if \`deletionTimestamp\` ${when}`;
  return [{ reason: 'FieldValueInvalid', field: 'status.Phase', message }];
}

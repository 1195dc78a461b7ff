/** What writing a CustomResourceDefinition means, beyond its own validation in `admission/custom-resource-definition.ts`. */
import { parseQuotaAmounts, quotaAmountsAnnotation, QuotaAmountsError } from '../../api/quota-usage.ts';
import { validateCustomResourceDefinition } from '../admission/custom-resource-definition.ts';
import { invalidValue } from '../admission/field-errors.ts';
import { metadataOf } from './decode-object.ts';
import { cleanupFinalizer, withCondition, type CustomResourceDefinition, type DefinitionVersion } from './definition.ts';
import { cloneJson, objectAt, type JsonObject } from '../admission/json-value.ts';
import { timestamp } from './object-metadata.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import type { FieldError } from './status-error.ts';

export const definitionStrategy: ResourceStrategy = {
  countsGenerations: true,
  unconditionalUpdate: false,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
  decode: fillNames,
  validate: (definition, old, subresource) =>
    subresource === undefined ? [...quotaAmountErrors(definition), ...validateCustomResourceDefinition(definition, old)] : [],
  prepareForCreate(definition) {
    const storedVersions = storageVersions(definition);
    definition['status'] = { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions };
  },
  prepareForUpdate(definition, old, { subresource }) {
    if (subresource !== undefined) return;
    const status = cloneJson(objectAt(old, 'status') ?? {});
    const stored = Array.isArray(status['storedVersions']) ? (status['storedVersions'] as string[]) : [];
    definition['status'] = { ...status, storedVersions: [...new Set([...stored, ...storageVersions(definition)])] };
  },
  prepareForDelete(definition, nowMs) {
    const metadata = metadataOf(definition);
    const finalizers = Array.isArray(metadata['finalizers']) ? (metadata['finalizers'] as string[]) : [];
    metadata['finalizers'] = [...new Set([...finalizers, cleanupFinalizer])];
    const { status } = definition as unknown as CustomResourceDefinition;
    const pending = {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
    } as const;
    definition['status'] = { ...status, conditions: withCondition(status?.conditions ?? [], pending, timestamp(nowMs)) };
  },
};

/** What Kubernetes fills in: the singular name, the list's kind, and that versions differ only in their name. */
function fillNames(definition: JsonObject): void {
  const spec = objectAt(definition, 'spec');
  if (spec === undefined) return;
  const names = objectAt(spec, 'names');
  if (names !== undefined && typeof names['kind'] === 'string' && names['kind'] !== '') {
    if (names['singular'] === undefined || names['singular'] === '') names['singular'] = names['kind'].toLowerCase();
    if (names['listKind'] === undefined || names['listKind'] === '') names['listKind'] = `${names['kind']}List`;
  }
  spec['conversion'] ??= { strategy: 'None' };
  if (spec['preserveUnknownFields'] === false) delete spec['preserveUnknownFields'];
}

function quotaAmountErrors({ metadata }: JsonObject): FieldError[] {
  const text = (metadata as CustomResourceDefinition['metadata']).annotations?.[quotaAmountsAnnotation];
  try {
    parseQuotaAmounts(text);
    return [];
  } catch (error) {
    if (!(error instanceof QuotaAmountsError)) throw error;
    return [invalidValue(`metadata.annotations[${quotaAmountsAnnotation}]`, text, error.message)];
  }
}

function storageVersions(definition: JsonObject): string[] {
  const versions = objectAt(definition, 'spec')?.['versions'];
  if (!Array.isArray(versions)) return [];
  return (versions as DefinitionVersion[]).filter(({ storage }) => storage).map(({ name }) => name);
}

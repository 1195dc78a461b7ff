/** From an established CustomResourceDefinition to the resources that it makes the server serve. */
import { createHash } from 'node:crypto';
import { parseQuotaAmounts, quotaAmountsAnnotation } from '../../api/quota-usage.ts';
import { compileSchema } from '../admission/compile-schema.ts';
import type { JsonSchema, StructuralSchema } from '../admission/structural-schema.ts';
import type { CustomResourceDefinition, DefinitionVersion } from './definition.ts';
import type { PrinterColumn, ResourceDefinition } from './resource.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import { statusSubresource } from './subresources.ts';

export const customVerbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'] as const;

export const customResourceStrategy: ResourceStrategy = {
  countsGenerations: true,
  unconditionalUpdate: false,
  createOnUpdate: false,
  marksGracePeriod: true,
  nameRule: 'dns-subdomain',
};

const anything: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** A schema for each version, in the order of the definition. */
export function compileVersions(definition: CustomResourceDefinition): Map<string, StructuralSchema> {
  return new Map(definition.spec.versions.map((version) => [version.name, compileSchema(version.schema?.openAPIV3Schema ?? anything)]));
}

export function customDefinition(
  definition: CustomResourceDefinition,
  version: DefinitionVersion,
  schema: StructuralSchema,
): ResourceDefinition {
  const { group, scope } = definition.spec;
  const names = definition.status?.acceptedNames ?? definition.spec.names;
  const { plural, kind, singular = kind.toLowerCase(), listKind = `${kind}List`, shortNames = [], categories = [] } = names;
  const deprecation = deprecationWarning(definition, version);
  const quotaAmounts = parseQuotaAmounts(definition.metadata.annotations?.[quotaAmountsAnnotation]);
  return {
    group,
    version: version.name,
    resource: plural,
    singular,
    kind,
    listKind,
    namespaced: scope === 'Namespaced',
    shortNames,
    categories,
    verbs: customVerbs,
    schema,
    subresources: version.subresources?.status === undefined ? [] : [statusSubresource],
    selectableFields: new Map((version.selectableFields ?? []).map(({ jsonPath }) => selectableField(jsonPath))),
    printerColumns: (version.additionalPrinterColumns ?? []).map(printerColumn),
    patchTypes: ['json', 'merge'],
    custom: true,
    ...(quotaAmounts.length === 0 ? {} : { quotaAmounts }),
    storageVersionHash: storageVersionHash(group, storageVersion(definition), kind),
    ...(deprecation === undefined ? {} : { deprecationWarning: deprecation }),
  };
}

/** The version in which objects are stored. */
export function storageVersion(definition: CustomResourceDefinition): string {
  return definition.spec.versions.find(({ storage }) => storage)?.name ?? '';
}

/** As in Kubernetes' discovery (k8s.io/apiserver `pkg/endpoints/discovery/storageversionhash.go`). */
export function storageVersionHash(group: string, version: string, kind: string): string {
  return createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64');
}

/** `.spec.x` is selected as `spec.x`. */
function selectableField(jsonPath: string): [string, readonly string[]] {
  const label = jsonPath.replace(/^\./, '');
  return [label, label.split('.')];
}

function printerColumn(column: NonNullable<DefinitionVersion['additionalPrinterColumns']>[number]): PrinterColumn {
  const { name, type, format = '', description = '', priority = 0, jsonPath } = column;
  return {
    name,
    type,
    format,
    description: description === '' ? `Custom resource definition column (in JSONPath format): ${jsonPath}` : description,
    priority,
    value: jsonPath,
  };
}

function deprecationWarning(definition: CustomResourceDefinition, version: DefinitionVersion): string | undefined {
  if (version.deprecated !== true) return undefined;
  const { group, names } = definition.spec;
  return version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`;
}

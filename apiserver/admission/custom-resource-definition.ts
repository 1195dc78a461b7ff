/** Whether a CustomResourceDefinition can be served. Rules and texts of apiextensions-apiserver `apis/apiextensions/validation`. */
import { dns1035LabelProblems, dnsSubdomainProblems } from '../../api/name-rules.ts';
import type { FieldError } from '../registry/status-error.ts';
import { compileRules } from './cel/compile-rules.ts';
import type { CrdNames, CrdVersion, CustomResourceDefinition } from './crd-shape.ts';
import { shapeErrors } from './crd-shape.ts';
import { versionPartErrors } from './crd-version-parts.ts';
import { defaultErrors } from './default-rules.ts';
import { invalidValue, requiredValue, unsupportedValue } from './field-errors.ts';
import { equalJson } from './json-value.ts';
import { structuralErrors } from './structural-rules.ts';
import type { JsonSchema } from './structural-schema.ts';

type Spec = NonNullable<CustomResourceDefinition['spec']>;

function nameErrors({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const name = metadata?.name ?? '';
  const wrong = dnsSubdomainProblems(name).map((problem) => invalidValue('metadata.name', name, problem));
  if (name !== `${spec?.names?.plural ?? ''}.${spec?.group ?? ''}`) {
    wrong.push(invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  }
  return wrong;
}

function groupErrors(group = ''): FieldError[] {
  if (group === '') return [requiredValue('spec.group')];
  const problems = dnsSubdomainProblems(group);
  if (problems.length === 0 && !group.includes('.')) problems.push('should be a domain with at least one dot');
  return problems.map((problem) => invalidValue('spec.group', group, problem));
}

function labelErrors(field: string, value: string | undefined): FieldError[] {
  if (value === undefined || value === '') return [requiredValue(field)];
  return dns1035LabelProblems(value).map((problem) => invalidValue(field, value, problem));
}

function kindErrors(field: string, value: string | undefined): FieldError[] {
  if (value === undefined || value === '') return [requiredValue(field)];
  const problems = dns1035LabelProblems(value.toLowerCase());
  return problems.map((problem) => invalidValue(field, value, `may have mixed case, but should otherwise match: ${problem}`));
}

/** `singular` and `listKind` may be absent: they have defaults. */
function namesErrors(names: CrdNames = {}): FieldError[] {
  const { plural, singular, kind, listKind, shortNames, categories } = names;
  const errors = [
    ...labelErrors('spec.names.plural', plural),
    ...(singular ? labelErrors('spec.names.singular', singular) : []),
    ...kindErrors('spec.names.kind', kind),
    ...(listKind ? kindErrors('spec.names.listKind', listKind) : []),
    ...(shortNames ?? []).flatMap((name, index) => labelErrors(`spec.names.shortNames[${index}]`, name)),
    ...(categories ?? []).flatMap((name, index) => labelErrors(`spec.names.categories[${index}]`, name)),
  ];
  if (kind && kind === listKind) errors.push(invalidValue('spec.names.listKind', listKind, 'kind and listKind may not be the same'));
  return errors;
}

function scopeErrors(scope = ''): FieldError[] {
  if (scope === '') return [requiredValue('spec.scope')];
  return ['Cluster', 'Namespaced'].includes(scope) ? [] : [unsupportedValue('spec.scope', scope, ['Cluster', 'Namespaced'])];
}

/** How Kubernetes shows versions in messages: its own type, with what is the same in all versions moved out of them. */
function describeVersions(versions: readonly CrdVersion[]): unknown {
  return versions.map(({ name = '', served = false, storage = false, deprecated = false, deprecationWarning = null }) => ({
    Name: name,
    Served: served,
    Storage: storage,
    Deprecated: deprecated,
    DeprecationWarning: deprecationWarning,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  }));
}

function versionListErrors(versions: readonly CrdVersion[]): FieldError[] {
  const field = 'spec.versions';
  const errors = versions.flatMap(({ name }, index) => labelErrors(`${field}[${index}].name`, name));
  if (new Set(versions.map(({ name }) => name)).size !== versions.length) {
    errors.push(invalidValue(field, describeVersions(versions), 'must contain unique version names'));
  }
  if (versions.filter(({ storage }) => storage === true).length !== 1) {
    errors.push(invalidValue(field, describeVersions(versions), 'must have exactly one version marked as storage version'));
  }
  return errors;
}

function ruleErrors(schema: JsonSchema, field: string): FieldError[] {
  return compileRules(schema, { resource: true }).problems.map((problem) => ({ ...problem, field: `${field}.${problem.field}` }));
}

/** Structure first; defaults and rules are only judged in a schema whose structure is right. */
function schemaErrors(schema: JsonSchema, field: string): FieldError[] {
  const structural = structuralErrors(schema, field);
  return structural.length > 0 ? structural : [...defaultErrors(schema, field), ...ruleErrors(schema, field)];
}

function versionErrors(version: CrdVersion, field: string, schemaField: string): FieldError[] {
  const schema = version.schema?.openAPIV3Schema;
  const wrong = schema === undefined ? [requiredValue(schemaField, 'schemas are required')] : schemaErrors(schema, schemaField);
  return [...wrong, ...versionPartErrors(version, field)];
}

function versionsErrors(versions: readonly CrdVersion[]): FieldError[] {
  const [first, ...others] = versions;
  if (first === undefined) return [requiredValue('spec.versions', 'must have at least one version')];
  const parts = ({ schema, subresources, additionalPrinterColumns, selectableFields }: CrdVersion): unknown => [
    schema ?? null,
    subresources ?? null,
    additionalPrinterColumns ?? null,
    selectableFields ?? null,
  ];
  // What is the same in all versions stands at the top in Kubernetes' own type, and so in its messages.
  if (others.every((other) => equalJson(parts(first), parts(other))))
    return versionErrors(first, 'spec', 'spec.validation.openAPIV3Schema');
  return versions.flatMap((version, index) => {
    const field = `spec.versions[${index}]`;
    return versionErrors(version, field, `${field}.schema.openAPIV3Schema`);
  });
}

function conversionErrors({ conversion, preserveUnknownFields }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  if (preserveUnknownFields === true) {
    const detail = 'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    errors.push(invalidValue('spec.preserveUnknownFields', true, detail));
  }
  const strategy = conversion?.strategy;
  if (strategy && strategy !== 'None') errors.push(unsupportedValue('spec.conversion.strategy', strategy, ['None']));
  return errors;
}

function approvalErrors({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const annotation = 'api-approved.kubernetes.io';
  const group = spec?.group ?? '';
  const isProtected = ['k8s.io', 'kubernetes.io'].some((suffix) => group === suffix || group.endsWith(`.${suffix}`));
  if (!isProtected || metadata?.annotations?.[annotation]) return [];
  const detail = `protected groups must have approval annotation "${annotation}", see https://github.com/kubernetes/enhancements/pull/1111`;
  return [requiredValue(`metadata.annotations[${annotation}]`, detail)];
}

function storedVersionErrors({ spec, status }: CustomResourceDefinition): FieldError[] {
  const field = 'status.storedVersions';
  const versions = spec?.versions ?? [];
  const storage = versions.find((version) => version.storage === true)?.name;
  // Before the first write the server has not said what is stored.
  const stored = status?.storedVersions ?? (storage === undefined ? [] : [storage]);
  if (stored.length === 0) return [invalidValue(field, null, 'must have at least one stored version')];
  const errors = stored.flatMap((name, index) => {
    if (versions.some((version) => version.name === name)) return [];
    const detail = `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
    return [invalidValue(`${field}[${index}]`, name, detail)];
  });
  if (storage !== undefined && !stored.includes(storage)) {
    errors.push(invalidValue(field, stored, `must have the storage version ${storage}`));
  }
  return errors;
}

function isEstablished({ status }: CustomResourceDefinition): boolean {
  return (status?.conditions ?? []).some(({ type, status: value }) => type === 'Established' && value === 'True');
}

function immutableErrors(crd: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  const fields: [string, string | undefined, string | undefined][] = [
    ['spec.group', crd.spec?.group, old.spec?.group],
    ['spec.names.plural', crd.spec?.names?.plural, old.spec?.names?.plural],
  ];
  if (isEstablished(old)) {
    fields.push(['spec.scope', crd.spec?.scope, old.spec?.scope], ['spec.names.kind', crd.spec?.names?.kind, old.spec?.names?.kind]);
  }
  return fields.flatMap(([field, now, before]) => (now === before ? [] : [invalidValue(field, now, 'field is immutable')]));
}

/**
 * What is wrong with a CRD, or with its change from `old`. For a change, `crd.status` is that of `old`, its `storedVersions` grown by the new
 * storage version.
 */
export function validateCustomResourceDefinition(crd: unknown, old?: unknown): FieldError[] {
  const wrongShape = shapeErrors(crd);
  if (wrongShape.length > 0) return wrongShape;
  const typed = crd as CustomResourceDefinition;
  const spec = typed.spec ?? {};
  const versions = spec.versions ?? [];
  return [
    ...nameErrors(typed),
    ...groupErrors(spec.group),
    ...scopeErrors(spec.scope),
    ...(old === undefined ? [] : immutableErrors(typed, old as CustomResourceDefinition)),
    ...versionListErrors(versions),
    ...versionsErrors(versions),
    ...namesErrors(spec.names),
    ...conversionErrors(spec),
    ...storedVersionErrors(typed),
    ...approvalErrors(typed),
  ];
}

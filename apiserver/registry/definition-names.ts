/**
 * Which names of a definition are accepted: those that no other one of its group has (apiextensions-apiserver
 * `pkg/controller/status/naming_controller.go`). Pure.
 */
import type { Condition } from '../../api/object.ts';
import { conditionOf, withCondition, type CustomResourceDefinition, type DefinitionNames, type DefinitionStatus } from './definition.ts';

/** The status that `definition` should have beside `others`; equal to the one it has when nothing is to be done. `now` is RFC 3339. */
export function establishedStatus(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  now: string,
): DefinitionStatus {
  const { names, conflict } = acceptNames(definition, others);
  let conditions: Condition[] = [...(definition.status?.conditions ?? [])];
  conditions = withCondition(
    conditions,
    conflict === undefined
      ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
      : { type: 'NamesAccepted', status: 'False', ...conflict },
    now,
  );
  // Once established it stays so: its objects are in use under the names that were accepted.
  if (conditionOf(definition, 'Established')?.status !== 'True') {
    conditions = withCondition(
      conditions,
      conflict === undefined
        ? { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
        : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' },
      now,
    );
  }
  return { ...definition.status, conditions, acceptedNames: names };
}

interface Conflict {
  reason: string;
  message: string;
}

function acceptNames(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
): { names: DefinitionNames; conflict: Conflict | undefined } {
  const requested = definition.spec.names;
  const accepted = definition.status?.acceptedNames ?? { plural: '', kind: '' };
  const { resources, kinds } = takenNames(definition, others);
  const names: DefinitionNames = { ...accepted };
  let conflict: Conflict | undefined;
  const isFree = (name: string, present: string | undefined, taken: ReadonlySet<string>, reason: string): boolean => {
    if (name === present || !taken.has(name)) return true;
    conflict = { reason, message: `${JSON.stringify(name)} is already in use` };
    return false;
  };
  if (isFree(requested.plural, accepted.plural, resources, 'PluralConflict')) names.plural = requested.plural;
  const { singular = '', listKind = '', shortNames, categories } = requested;
  if (isFree(singular, accepted.singular, resources, 'SingularConflict')) names.singular = singular;
  const freeShortNames = (shortNames ?? []).filter((name) =>
    isFree(name, accepted.shortNames?.includes(name) === true ? name : undefined, resources, 'ShortNamesConflict'),
  );
  if (freeShortNames.length === (shortNames ?? []).length) setOrDrop(names, 'shortNames', shortNames);
  if (isFree(requested.kind, accepted.kind, kinds, 'KindConflict')) names.kind = requested.kind;
  if (isFree(listKind, accepted.listKind, kinds, 'ListKindConflict')) names.listKind = listKind;
  setOrDrop(names, 'categories', categories);
  return { names, conflict };
}

function setOrDrop(names: DefinitionNames, field: 'shortNames' | 'categories', value: string[] | undefined): void {
  if (value === undefined) Reflect.deleteProperty(names, field);
  else names[field] = value;
}

/** What the other definitions of the group have been given. */
function takenNames(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
): { resources: ReadonlySet<string>; kinds: ReadonlySet<string> } {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const other of others) {
    if (other.spec.group !== definition.spec.group || other.metadata.name === definition.metadata.name) continue;
    const { plural, singular, shortNames = [], kind, listKind } = other.status?.acceptedNames ?? { plural: '', kind: '' };
    for (const name of [plural, singular, ...shortNames]) if (name !== undefined && name !== '') resources.add(name);
    for (const name of [kind, listKind]) if (name !== undefined && name !== '') kinds.add(name);
  }
  return { resources, kinds };
}

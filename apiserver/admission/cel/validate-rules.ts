/** Applies the compiled rules of a schema to an object: at each place its own rules, then those of its members. */
import { isObject, ownValue } from '../json-value.ts';
import type { JsonObject } from '../json-value.ts';
import { listKeyOf } from '../list-types.ts';
import type { JsonSchema } from '../structural-schema.ts';
import { applyRule, spend } from './apply-rule.ts';
import type { CompiledRule, RuleRun } from './apply-rule.ts';
import { weigh } from './cost.ts';
import type { CelType } from './declare-type.ts';

/** The rules of one place, and what `self` is there. */
export interface OwnRules {
  readonly type: CelType;
  readonly rules: readonly CompiledRule[];
}

/** What is checked at one place of an object, and beneath it. */
export interface RuleNode {
  readonly schema: JsonSchema;
  readonly own: OwnRules | undefined;
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly additional: RuleNode | undefined;
  readonly items: RuleNode | undefined;
}

function applyOwn({ type, rules }: OwnRules, subject: { value: unknown; old: unknown; path: string; type: string }, run: RuleRun): void {
  const { value, old } = subject;
  // Making values of CEL is work too, and is done once for all rules of the place.
  if (!spend(run, weigh(value) + weigh(old), subject.path)) return;
  const self = type.convert(value);
  const oldSelf = old === undefined ? undefined : type.convert(old);
  for (const rule of rules) {
    if (run.ended) return;
    applyRule(rule, { ...subject, self, oldSelf }, run);
  }
}

function validateItems(node: RuleNode, list: readonly unknown[], old: unknown, path: string, run: RuleRun): void {
  const { schema, items } = node;
  if (items === undefined) return;
  const isMap = schema['x-kubernetes-list-type'] === 'map';
  const before = isMap && Array.isArray(old) ? new Map(old.map((item: unknown) => [listKeyOf(schema, item), item])) : undefined;
  for (const [index, item] of list.entries()) {
    validateNode(items, item, before?.get(listKeyOf(schema, item)), `${path}[${index}]`, run);
  }
}

function validateMembers(node: RuleNode, object: JsonObject, old: unknown, path: string, run: RuleRun): void {
  const oldOf = (key: string): unknown => (isObject(old) ? ownValue(old, key) : undefined);
  for (const [key, member] of node.properties) {
    if (Object.hasOwn(object, key)) validateNode(member, object[key], oldOf(key), path === '' ? key : `${path}.${key}`, run);
  }
  if (node.additional === undefined) return;
  const declared = node.schema.properties ?? {};
  for (const key of Object.keys(object).sort()) {
    if (!Object.hasOwn(declared, key)) validateNode(node.additional, object[key], oldOf(key), `${path}[${key}]`, run);
  }
}

/** Adds to `run` what the rules at and beneath a place say; `old` is undefined where nothing stood before. */
export function validateNode(node: RuleNode, value: unknown, old: unknown, path: string, run: RuleRun): void {
  // Null has no rules: where it is allowed it stands for nothing. Nor has anything once the run has ended.
  if (value === null || value === undefined || run.ended) return;
  const before = old === null ? undefined : old;
  if (node.own !== undefined) applyOwn(node.own, { value, old: before, path, type: node.schema.type ?? 'object' }, run);
  if (Array.isArray(value)) validateItems(node, value, before, path, run);
  else if (isObject(value)) validateMembers(node, value, before, path, run);
}

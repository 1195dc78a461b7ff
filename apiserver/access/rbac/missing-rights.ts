/**
 * Which of the rights that someone wants to grant they do not hold themselves, and how Kubernetes writes them
 * (`k8s.io/component-helpers/auth/rbac/validation`). Pure.
 */
import { matchesPath } from './rule-allows.ts';
import type { PolicyRule } from './policy.ts';

/** The parts of `wanted` that no rule of `held` covers, each with one verb and one object of it. */
export function missingRights(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of wanted) {
    // The usual case: a whole rule is held, and need not be taken apart.
    if (held.some((own) => ruleCovers(own, rule))) continue;
    for (const part of breakDown(rule)) if (!held.some((own) => ruleCovers(own, part))) missing.push(part);
  }
  return missing;
}

function* breakDown(rule: PolicyRule): Generator<PolicyRule> {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) yield part;
        for (const name of resourceNames) yield { ...part, resourceNames: [name] };
      }
    }
  }
  for (const url of nonResourceURLs) for (const verb of verbs) yield { verbs: [verb], nonResourceURLs: [url] };
}

/** A rule of paths never covers one of resources: the verbs' star alone says nothing. */
function ruleCovers(own: PolicyRule, part: PolicyRule): boolean {
  const { resourceNames: ownNames = [] } = own;
  const { resourceNames = [], nonResourceURLs = [] } = part;
  if (!coversAll(own.verbs, part.verbs) || !coversAll(own.apiGroups, part.apiGroups ?? [])) return false;
  if (!resourcesCover(own.resources ?? [], part.resources ?? [])) return false;
  if (!nonResourceURLs.every((url) => (own.nonResourceURLs ?? []).some((pattern) => matchesPath(pattern, url)))) return false;
  if (ownNames.length === 0) return true;
  return resourceNames.length > 0 && resourceNames.every((name) => ownNames.includes(name));
}

function coversAll(own: readonly string[] = [], wanted: readonly string[]): boolean {
  return own.includes('*') || wanted.every((one) => own.includes(one));
}

function resourcesCover(own: readonly string[], wanted: readonly string[]): boolean {
  if (own.includes('*')) return true;
  return wanted.every((resource) => {
    const slash = resource.indexOf('/');
    return own.includes(resource) || (slash !== -1 && own.includes(`*${resource.slice(slash)}`));
  });
}

/** One line for each rule, rules of the same single resource put together, in order of their text. */
export function describeRules(rules: readonly PolicyRule[]): string[] {
  const simple = new Map<string, PolicyRule>();
  const others: PolicyRule[] = [];
  for (const rule of rules) {
    const key = simpleKey(rule);
    const known = key === undefined ? undefined : simple.get(key);
    if (key === undefined) others.push(rule);
    else if (known === undefined) simple.set(key, { ...rule, verbs: [...rule.verbs] });
    else known.verbs = [...new Set([...known.verbs, ...rule.verbs])];
  }
  const lines = [...others, ...simple.values()].map(describeRule);
  return [...new Set(lines)].sort((a, b) => (a < b ? -1 : 1));
}

function simpleKey({ apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): string | undefined {
  if (apiGroups.length !== 1 || resources.length !== 1 || resourceNames.length > 1 || nonResourceURLs.length > 0) return undefined;
  return JSON.stringify([apiGroups, resources, resourceNames]);
}

function describeRule(rule: PolicyRule): string {
  const parts = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ] as const;
  const filled = parts.filter(([, values]) => values !== undefined && values.length > 0);
  return `{${filled.map(([name, values]) => `${name}:${quoteList(values ?? [])}`).join(', ')}}`;
}

/** As Go's `%q` writes a list of texts. */
export function quoteList(texts: readonly string[]): string {
  return `[${texts.map((one) => JSON.stringify(one)).join(' ')}]`;
}

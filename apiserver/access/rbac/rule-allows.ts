/** Whether one rule allows one request (Kubernetes' `plugin/pkg/auth/authorizer/rbac` and `pkg/apis/rbac/v1/evaluation_helpers.go`). Pure. */
import type { Attributes } from '../authorize.ts';
import type { PolicyRule } from './policy.ts';

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!covers(rule.verbs, attributes.verb)) return false;
  if (attributes.kind === 'path') return (rule.nonResourceURLs ?? []).some((pattern) => matchesPath(pattern, attributes.path));
  const { group, resource, subresource, name } = attributes;
  if (!covers(rule.apiGroups, group)) return false;
  const { resourceNames = [] } = rule;
  if (resourceNames.length > 0 && (name === undefined || !resourceNames.includes(name))) return false;
  return coversResource(rule.resources ?? [], resource, subresource);
}

/** A pattern's trailing `*` stands for anything. */
export function matchesPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/u, '')));
}

function covers(allowed: readonly string[] | undefined, asked: string): boolean {
  return allowed !== undefined && (allowed.includes(asked) || allowed.includes('*'));
}

/** `*` is everything with its subresources, a star before `/scale` one subresource of everything. */
function coversResource(allowed: readonly string[], resource: string, subresource: string | undefined): boolean {
  if (allowed.includes('*')) return true;
  if (subresource === undefined || subresource === '') return allowed.includes(resource);
  return allowed.includes(`${resource}/${subresource}`) || allowed.includes(`*/${subresource}`);
}

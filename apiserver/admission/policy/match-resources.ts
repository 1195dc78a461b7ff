/** Which requests a policy or a binding is about (k8s.io/apiserver `pkg/admission/plugin/policy/matching`). */
import { matchesLabelSelector, type LabelSelector, type Labels } from '../../../api/selector.ts';
import type { AdmissionRequest } from '../admission-request.ts';
import { valueAt, type JsonObject } from '../json-value.ts';
import type { MatchResources, ResourceRule } from './policy-types.ts';

/** `namespaceLabels` is undefined for what is in no namespace, and is none itself. */
export function matchesResources(match: MatchResources, request: AdmissionRequest, namespaceLabels: Labels | undefined): boolean {
  const { namespaceSelector, objectSelector, resourceRules = [], excludeResourceRules = [] } = match;
  const everyVersion = match.matchPolicy !== 'Exact';
  if (excludeResourceRules.some((rule) => matchesRule(rule, request, everyVersion))) return false;
  // A binding without rules leaves it to its policy.
  if (resourceRules.length > 0 && !resourceRules.some((rule) => matchesRule(rule, request, everyVersion))) return false;
  if (!isEmptySelector(namespaceSelector) && namespaceLabels !== undefined) {
    if (!matchesLabelSelector(namespaceSelector, namespaceLabels)) return false;
  }
  return matchesObject(objectSelector, request);
}

/** With `everyVersion`, a rule about one version is about all in which the resource is served: they show the same objects. */
function matchesRule(rule: ResourceRule, request: AdmissionRequest, everyVersion: boolean): boolean {
  const { definition, operation, subresource, name } = request;
  const { group, version, resource, namespaced } = definition;
  if (rule.scope === 'Namespaced' && !namespaced) return false;
  if (rule.scope === 'Cluster' && namespaced) return false;
  const { resourceNames = [] } = rule;
  return (
    covers(rule.operations, operation) &&
    covers(rule.apiGroups, group) &&
    (everyVersion || covers(rule.apiVersions, version)) &&
    rule.resources.some((pattern) => matchesResource(pattern, resource, subresource)) &&
    (resourceNames.length === 0 || resourceNames.includes(name))
  );
}

function covers(allowed: readonly string[], asked: string): boolean {
  return allowed.includes('*') || allowed.includes(asked);
}

function matchesResource(pattern: string, resource: string, subresource = ''): boolean {
  const [wantedResource = '', wantedSubresource = ''] = pattern.split('/');
  return (wantedResource === '*' || wantedResource === resource) && (wantedSubresource === '*' || wantedSubresource === subresource);
}

function isEmptySelector(selector: LabelSelector | undefined): selector is undefined {
  return selector === undefined || ((selector.matchExpressions ?? []).length === 0 && Object.keys(selector.matchLabels ?? {}).length === 0);
}

/** Either state of the object may match: a label that is being taken off does not free it. */
function matchesObject(selector: LabelSelector | undefined, { object, oldObject }: AdmissionRequest): boolean {
  if (isEmptySelector(selector)) return true;
  return [object, oldObject].some((state) => state !== undefined && matchesLabelSelector(selector, labelsOf(state)));
}

export function labelsOf(object: JsonObject): Labels {
  return (valueAt(object, ['metadata', 'labels']) ?? {}) as Labels;
}

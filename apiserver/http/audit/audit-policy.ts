/** Which requests are written down, and how much of them: `audit.k8s.io/v1` Policy (k8s.io/apiserver `pkg/audit/policy/checker.go`). Pure. */
import { parse } from 'yaml';
import { UserError } from '../../../api/errors.ts';
import { isObject, type JsonObject } from '../../admission/json-value.ts';
import type { UserInfo } from '../../registry/resource.ts';
import type { RequestInfo } from '../request-info.ts';

const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;

export type AuditLevel = (typeof levels)[number];
export type AuditStage = (typeof stages)[number];

interface AuditResources {
  group: string;
  resources: readonly string[];
  resourceNames: readonly string[];
}

interface AuditRule {
  level: AuditLevel;
  users: readonly string[];
  userGroups: readonly string[];
  verbs: readonly string[];
  resources: readonly AuditResources[];
  /** The empty one stands for cluster-scoped objects. */
  namespaces: readonly string[];
  nonResourceURLs: readonly string[];
  omitStages: readonly AuditStage[];
}

export interface AuditPolicy {
  rules: readonly AuditRule[];
}

export interface AuditChoice {
  level: AuditLevel;
  omitStages: readonly AuditStage[];
}

/** The first rule that fits decides; what none fits is not written down. */
export function chooseLevel({ rules }: AuditPolicy, info: RequestInfo, user: UserInfo | undefined): AuditChoice {
  const rule = rules.find((one) => fits(one, info, user));
  if (rule === undefined) return { level: 'None', omitStages: [] };
  const isSecret = info.kind === 'resource' && holdsSecrets(info);
  const level = isSecret && rule.level !== 'None' ? 'Metadata' : rule.level;
  return { level, omitStages: rule.omitStages };
}

/** Bodies that would put secrets and tokens into a file are never written, whatever the policy says. */
function holdsSecrets({ group, resource, subresource }: RequestInfo & { kind: 'resource' }): boolean {
  if (group === '') return resource === 'secrets' || (resource === 'serviceaccounts' && subresource === 'token');
  return group === 'authentication.k8s.io';
}

function fits(rule: AuditRule, info: RequestInfo, user: UserInfo | undefined): boolean {
  if (!fitsUser(rule, user)) return false;
  if (rule.verbs.length > 0 && !rule.verbs.includes(info.verb)) return false;
  const isAboutResources = rule.resources.length > 0 || rule.namespaces.length > 0;
  if (info.kind === 'path') {
    if (rule.nonResourceURLs.length > 0) return rule.nonResourceURLs.some((pattern) => matchesUrl(pattern, info.path));
    return !isAboutResources;
  }
  if (!isAboutResources) return rule.nonResourceURLs.length === 0;
  if (rule.namespaces.length > 0 && !rule.namespaces.includes(info.namespace ?? '')) return false;
  return rule.resources.length === 0 || rule.resources.some((one) => fitsResource(one, info));
}

function fitsUser({ users, userGroups }: AuditRule, user: UserInfo | undefined): boolean {
  if (users.length > 0 && !users.includes(user?.name ?? '')) return false;
  return userGroups.length === 0 || userGroups.some((group) => user?.groups.includes(group));
}

function matchesUrl(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}

function fitsResource(wanted: AuditResources, info: RequestInfo & { kind: 'resource' }): boolean {
  if (wanted.group !== info.group) return false;
  if (wanted.resourceNames.length > 0 && !wanted.resourceNames.includes(info.name ?? '')) return false;
  if (wanted.resources.length === 0) return true;
  const { resource, subresource } = info;
  const forms = subresource === undefined ? ['*', resource] : ['*', `${resource}/${subresource}`, `${resource}/*`, `*/${subresource}`];
  return wanted.resources.some((one) => forms.includes(one));
}

/** Throws `BAD_ARGUMENT` with the place in the file of what is wrong. */
export function parseAuditPolicy(text: string, file: string): AuditPolicy {
  const refuse = (what: string): never => {
    throw new UserError(
      'BAD_ARGUMENT',
      `${file}: ${what}`,
      'It is a Policy of audit.k8s.io/v1, as kube-apiserver reads it with --audit-policy-file',
    );
  };
  let policy: unknown;
  try {
    policy = parse(text);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  if (!isObject(policy) || policy['kind'] !== 'Policy' || policy['apiVersion'] !== 'audit.k8s.io/v1') return refuse('it is no Policy');
  const reader = new Reader(refuse);
  const everywhere = reader.choices(policy, 'omitStages', 'omitStages', stages);
  const rules = reader.objects(policy, 'rules', 'rules').map((rule, index) => reader.rule(rule, `rules[${index}]`, everywhere));
  return rules.length === 0 ? refuse('rules: there are none') : { rules };
}

/** Reads fields of a known form. */
class Reader {
  readonly #refuse: (what: string) => never;

  constructor(refuse: (what: string) => never) {
    this.#refuse = refuse;
  }

  rule(rule: JsonObject, at: string, everywhere: readonly AuditStage[]): AuditRule {
    const level = levels.find((one) => one === rule['level']);
    const read = this.texts.bind(this, rule, at);
    const made = {
      level: level ?? this.#refuse(`${at}.level: must be one of ${levels.join(', ')}`),
      users: read('users'),
      userGroups: read('userGroups'),
      verbs: read('verbs'),
      namespaces: read('namespaces'),
      nonResourceURLs: read('nonResourceURLs'),
      resources: this.objects(rule, 'resources', `${at}.resources`).map((one, index) => this.resources(one, `${at}.resources[${index}]`)),
      omitStages: [...everywhere, ...this.choices(rule, 'omitStages', `${at}.omitStages`, stages)],
    };
    if (made.nonResourceURLs.length > 0 && made.resources.length + made.namespaces.length > 0) {
      this.#refuse(`${at}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`);
    }
    return made;
  }

  resources(one: JsonObject, at: string): AuditResources {
    const { group = '' } = one;
    if (typeof group !== 'string') return this.#refuse(`${at}.group: must be a text`);
    return { group, resources: this.texts(one, at, 'resources'), resourceNames: this.texts(one, at, 'resourceNames') };
  }

  texts(object: JsonObject, at: string, field: string): string[] {
    const value = object[field] ?? [];
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    return this.#refuse(`${at}.${field}: must be a list of texts`);
  }

  objects(object: JsonObject, field: string, at: string): JsonObject[] {
    const value = object[field] ?? [];
    if (Array.isArray(value) && value.every(isObject)) return value;
    return this.#refuse(`${at}: must be a list of objects`);
  }

  choices<T extends string>(object: JsonObject, field: string, at: string, known: readonly T[]): T[] {
    const value = object[field] ?? [];
    if (!Array.isArray(value)) return this.#refuse(`${at}: must be a list`);
    return value.map((one: unknown) => known.find((each) => each === one) ?? this.#refuse(`${at}: must be of ${known.join(', ')}`));
  }
}

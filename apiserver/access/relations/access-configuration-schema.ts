/** The shape of `manifests/access.yaml`, as a JSON Schema, and as types. docs/decisions/0007-relationships.md says what it means. */

export interface AccessConfiguration {
  apiVersion: string;
  kind: string;
  subjects: SubjectConfiguration[];
}

/** Users that stand for objects of one resource. */
export interface SubjectConfiguration {
  name: string;
  userPrefix: string;
  group: string;
  object: { group: string; resource: string };
  key: 'metadata.uid' | 'metadata.name';
  revoked?: string;
  nameExtra?: string;
  recovery?: { key: string; group: string };
  token?: TokenConfiguration;
  rules: RuleConfiguration[];
}

export interface TokenConfiguration {
  prefix: string;
  hash: string;
  expires: string;
  uses: string;
  claims: string;
  reads: { resource: string; verbs: string[]; names: string };
}

export interface RuleConfiguration {
  resources: string[];
  verbs: string[];
  named?: boolean;
  where?: string;
  whereUser?: string;
  namespace?: string;
  namespacesOf?: string;
  namespaces?: string[];
  names?: { resource: string; verbs: string[]; paths: string[] }[];
  inRecovery?: boolean;
}

const label = '[A-Za-z][A-Za-z0-9_-]{0,62}';
const plainPath = { type: 'string', maxLength: 256, pattern: `^${label}(\\.${label})*$` };
const listPath = { type: 'string', maxLength: 256, pattern: `^${label}(\\[\\])?(\\.${label}(\\[\\])?)*$` };
const word = { type: 'string', minLength: 1, maxLength: 253, pattern: '^[^\\s"]([^"\\n]*[^\\s"])?$' };
const groupName = { type: 'string', maxLength: 253, pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$' };
const segment = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const resourceName = { type: 'string', pattern: `^${segment}$` };
/** A group has a dot; what has none is of the core group. */
const group = `${segment}(\\.${segment})+`;
const wholeResource = { type: 'string', maxLength: 512, pattern: `^(${group}/)?${segment}$` };
const anyResource = { type: 'string', maxLength: 512, pattern: `^(${group}/)?${segment}(/${segment})?$` };
const namespaceName = { type: 'string', pattern: `^${segment}$` };

function listOf(items: object, maxItems = 64): object {
  return { type: 'array', minItems: 1, maxItems, uniqueItems: true, items };
}

function closed(required: readonly string[], properties: Record<string, object>): object {
  return { type: 'object', additionalProperties: false, required, properties };
}

const verbsOf = (...verbs: string[]): object => listOf({ type: 'string', enum: verbs });
const readVerbs = verbsOf('get', 'list', 'watch');

const rule = closed(['resources', 'verbs'], {
  resources: listOf(anyResource),
  verbs: verbsOf('get', 'list', 'watch', 'create', 'update', 'patch', 'delete'),
  named: { type: 'boolean', const: true },
  where: plainPath,
  whereUser: plainPath,
  namespace: namespaceName,
  namespacesOf: wholeResource,
  namespaces: listOf(namespaceName),
  names: {
    type: 'array',
    minItems: 1,
    maxItems: 16,
    items: closed(['resource', 'verbs', 'paths'], { resource: wholeResource, verbs: verbsOf('get'), paths: listOf(listPath) }),
  },
  inRecovery: { type: 'boolean' },
});

const token = closed(['prefix', 'hash', 'expires', 'uses', 'claims', 'reads'], {
  prefix: { type: 'string', pattern: '^[a-z0-9]{1,16}$' },
  hash: plainPath,
  expires: plainPath,
  uses: plainPath,
  claims: plainPath,
  reads: closed(['resource', 'verbs', 'names'], { resource: wholeResource, verbs: readVerbs, names: listPath }),
});

const subject = closed(['name', 'userPrefix', 'group', 'object', 'key', 'rules'], {
  name: word,
  userPrefix: { ...word, pattern: '^[^\\s"]+:$' },
  group: word,
  object: closed(['group', 'resource'], { group: groupName, resource: resourceName }),
  // Only what is unique, and not for users to choose of an object that is there.
  key: { type: 'string', enum: ['metadata.uid', 'metadata.name'] },
  revoked: plainPath,
  nameExtra: { type: 'string', maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$' },
  recovery: closed(['key', 'group'], { key: plainPath, group: word }),
  token,
  rules: { type: 'array', maxItems: 256, items: rule },
});

export const accessConfigurationSchema = closed(['apiVersion', 'kind', 'subjects'], {
  apiVersion: { type: 'string', const: 'potluck.dev/v1alpha1' },
  kind: { type: 'string', const: 'AccessConfiguration' },
  subjects: { type: 'array', maxItems: 32, items: subject },
});

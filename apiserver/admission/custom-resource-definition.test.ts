import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { validateCustomResourceDefinition } from './custom-resource-definition.ts';

const crdFolder = join(import.meta.dirname, '../../crds');

interface Change {
  name?: string;
  spec?: object;
  names?: object;
  version?: object;
  schema?: unknown;
  annotations?: object;
}

/** A small right CRD with changes, as the recorded requests made them. */
function crd({ name = 'as.g2.compute.example.com', spec, names, version, schema, annotations }: Change = {}): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name, annotations },
    spec: {
      group: 'g2.compute.example.com',
      scope: 'Namespaced',
      names: { plural: 'as', kind: 'A', ...names },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema ?? { type: 'object' } }, ...version }],
      ...spec,
    },
  };
}

/** A schema with one field of `spec`. */
function withField(x: object): Change {
  return { schema: { type: 'object', properties: { spec: { type: 'object', properties: { x } } } } };
}

function errorsOf(change: Change): string[] {
  return validateCustomResourceDefinition(crd(change)).map(({ reason, field, message }) => `${reason} ${field}: ${message}`);
}

const field = 'spec.validation.openAPIV3Schema.properties[spec].properties[x]';
const rule = '{"Rule":"self.foo == 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}';
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const storageless =
  '[{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]';

describe('validateCustomResourceDefinition()', () => {
  it('takes every CRD of ours, as created and as it stands', () => {
    const files = readdirSync(crdFolder).filter((file) => file.endsWith('.yaml'));
    assert.ok(files.length >= 4);
    for (const file of files) {
      const ours: unknown = parse(readFileSync(join(crdFolder, file), 'utf8'));
      assert.deepEqual(validateCustomResourceDefinition(ours), [], file);
      assert.deepEqual(validateCustomResourceDefinition(ours, ours), [], file);
    }
  });

  // Answers of a real Kubernetes API server.
  const recorded: [string, Change, string[]][] = [
    [
      'a schema without type',
      { schema: {} },
      ['FieldValueRequired spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root'],
    ],
    [
      'a field without type',
      { schema: { type: 'object', properties: { spec: { properties: { x: { type: 'string' } } } } } },
      [
        'FieldValueRequired spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields',
      ],
    ],
    [
      'a default of the wrong type',
      withField({ type: 'string', default: 5 }),
      [`FieldValueTypeInvalid ${field}.default: Invalid value: "integer":  in body must be of type string: "integer"`],
    ],
    [
      'preserve-unknown-fields: false',
      withField({ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }),
      [`FieldValueInvalid ${field}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`],
    ],
    ['an array without items', withField({ type: 'array' }), [`FieldValueRequired ${field}.items: Required value: must be specified`]],
    [
      'a list key that may be absent',
      withField({
        type: 'array',
        items: { type: 'object', properties: { n: { type: 'string' } } },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['n'],
      }),
      [
        `FieldValueRequired ${field}.items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
      ],
    ],
    [
      'a CEL rule with a type error',
      withField({ type: 'string', 'x-kubernetes-validations': [{ rule: 'self.foo == 1' }] }),
      [
        `FieldValueInvalid ${field}.x-kubernetes-validations[0].rule: Invalid value: ${rule}: compilation failed: ERROR: <input>:1:5: type 'string' does not support field selection\n | self.foo == 1\n | ....^`,
      ],
    ],
    [
      'restrictions of metadata beyond the name',
      { schema: { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } } },
      [
        'FieldValueForbidden spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
      ],
    ],
    [
      'a name that is not plural.group',
      { name: 'wrong.name' },
      ['FieldValueInvalid metadata.name: Invalid value: "wrong.name": must be spec.names.plural+"."+spec.group'],
    ],
    [
      'no storage version',
      { version: { storage: false } },
      [
        `FieldValueInvalid spec.versions: Invalid value: ${storageless}: must have exactly one version marked as storage version`,
        'FieldValueInvalid status.storedVersions: Invalid value: null: must have at least one stored version',
      ],
    ],
    [
      'a protected group without approval',
      { name: 'as.foo.k8s.io', spec: { group: 'foo.k8s.io' } },
      [
        'FieldValueRequired metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ],
    ],
    [
      'a bad group',
      { name: 'as.bad_group', spec: { group: 'bad_group' } },
      [
        `FieldValueInvalid metadata.name: Invalid value: "as.bad_group": ${subdomain}`,
        `FieldValueInvalid spec.group: Invalid value: "bad_group": ${subdomain}`,
      ],
    ],
    [
      'an upper-case short name',
      { names: { shortNames: ['UP'] } },
      [
        `FieldValueInvalid spec.names.shortNames[0]: Invalid value: "UP": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
      ],
    ],
    [
      'preserveUnknownFields',
      { spec: { preserveUnknownFields: true } },
      [
        'FieldValueInvalid spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ],
    ],
  ];
  for (const [what, change, errors] of recorded) {
    it(`refuses ${what} (recorded)`, () => assert.deepEqual(errorsOf(change), errors));
  }

  const wrong: [string, Change, RegExp][] = [
    [
      'properties beside additionalProperties',
      withField({ type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } }),
      /mutual exclusive$/,
    ],
    ['$ref', withField({ type: 'object', $ref: '#/x' }), /x\]\.\$ref: Forbidden: \$ref is not supported$/],
    [
      'a pattern that is no RE2 expression',
      withField({ type: 'string', pattern: '(?=a)' }),
      /x\]\.pattern: Invalid value: .*must be a valid regular expression/,
    ],
    [
      'types in junctors',
      withField({ type: 'object', anyOf: [{ type: 'object' }] }),
      /anyOf\[0\]\.type: Forbidden: must be empty to be structural$/,
    ],
    [
      'fields that only a junctor knows',
      withField({ type: 'object', anyOf: [{ properties: { a: { minLength: 1 } } }] }),
      /x\]\.properties\[a\]: Required value: because it is defined in anyOf\[0\]\.properties\[a\]$/,
    ],
    [
      'defaults with unknown fields',
      withField({ type: 'object', default: { a: 1 } }),
      /default: Invalid value: .*: must not have unknown fields$/,
    ],
    [
      'nine selectable fields',
      { version: { selectableFields: Array.from({ length: 9 }, (_, index) => ({ jsonPath: `.spec.f${index}` })) } },
      /Too many: 9: must have at most 8 items$/m,
    ],
    [
      'a selectable field that does not exist',
      { version: { selectableFields: [{ jsonPath: '.spec.nope' }] } },
      /selectableFields\[0\]\.jsonPath: Invalid value: ".spec.nope": is an invalid path/,
    ],
    [
      'a printer column with a broken path',
      { version: { additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.a[' }] } },
      /additionalPrinterColumns\[0\]\.JSONPath: Invalid value/,
    ],
    [
      'a printer column of an unknown type',
      { version: { additionalPrinterColumns: [{ name: 'A', type: 'text', jsonPath: '.a' }] } },
      /must be one of boolean,date,integer,number,string$/,
    ],
    [
      'a scale path outside of spec',
      { version: { subresources: { scale: { specReplicasPath: '.x.y', statusReplicasPath: '.status.r' } } } },
      /should be a json path under \.spec$/,
    ],
    [
      'an unknown scope',
      { spec: { scope: 'Galaxy' } },
      /spec\.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"$/,
    ],
    ['no versions', { spec: { versions: [] } }, /spec\.versions: Required value/],
    [
      'a rule that is not bool',
      withField({ type: 'string', 'x-kubernetes-validations': [{ rule: 'self' }] }),
      /cel expression must evaluate to a bool$/,
    ],
    [
      'an unknown name in a rule',
      withField({ type: 'string', 'x-kubernetes-validations': [{ rule: 'nope == self' }] }),
      /undeclared reference to 'nope' \(in container ''\)/,
    ],
    [
      'oldSelf where nothing can be told apart',
      withField({ type: 'array', items: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] } }),
      /oldSelf cannot be used on the uncorrelatable portion/,
    ],
    [
      'a fieldPath to nowhere',
      withField({ type: 'object', 'x-kubernetes-validations': [{ rule: 'true', fieldPath: '.nope' }] }),
      /fieldPath must be a valid path: \.nope$/,
    ],
    [
      'a broken rule',
      withField({ type: 'string', 'x-kubernetes-validations': [{ rule: 'self ==' }] }),
      /compilation failed: ERROR: <input>:1:8: Syntax error/,
    ],
  ];
  for (const [what, change, message] of wrong) {
    it(`refuses ${what}`, () => assert.match(errorsOf(change).join('\n'), message));
  }

  it('survives anything in the place of a schema', () => {
    const odd: unknown[] = [
      null,
      [],
      'x',
      { type: 5 },
      { type: 'object', properties: [] },
      { type: 'object', properties: { a: null } },
      { type: 'object', required: 'a' },
      { type: 'object', items: [] },
      { type: 'object', allOf: [null] },
      { type: 'object', 'x-kubernetes-validations': [{ rule: 5 }] },
      { type: 'object', 'x-kubernetes-validations': [null] },
    ];
    for (const schema of odd) {
      const broken = crd({ version: { schema: { openAPIV3Schema: schema } } });
      assert.ok(validateCustomResourceDefinition(broken).length > 0, JSON.stringify(schema));
    }
    for (const broken of [null, [], {}, { spec: [] }, { spec: { versions: [null] } }, { metadata: { name: 'a' }, spec: null }]) {
      assert.ok(validateCustomResourceDefinition(broken).length > 0, JSON.stringify(broken));
    }
  });

  it('bounds how deep a schema goes', () => {
    let schema: object = { type: 'string' };
    for (let depth = 0; depth < 900; depth += 1) schema = { type: 'object', properties: { a: schema } };
    const messages = validateCustomResourceDefinition(crd({ schema })).map(({ message }) => message);
    assert.deepEqual(messages, ['Forbidden: a schema must have at most 64 levels and 10000 parts']);
  });

  it('keeps stored versions, and the scope once established (recorded: remove a stored version, change scope)', () => {
    const old = { ...crd(), status: { storedVersions: ['v0', 'v1'], conditions: [{ type: 'Established', status: 'True' }] } };
    const changed = { ...crd({ spec: { scope: 'Cluster' } }), status: old.status };
    assert.deepEqual(
      validateCustomResourceDefinition(changed, old).map(({ field: at, message }) => `${at}: ${message}`),
      [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'status.storedVersions[0]: Invalid value: "v0": missing from spec.versions; v0 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions',
      ],
    );
  });
});

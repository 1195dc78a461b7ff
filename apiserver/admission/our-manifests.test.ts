import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import { curvePoint, rsaExponent, rsaModulus, sshLine, sshLines } from '../../api/ssh-key-fixtures.ts';
import { parseSshPublicKey, sshKeyTypes } from '../../api/ssh-public-key.ts';
import { compileSchema } from './compile-schema.ts';
import type { JsonObject } from './json-value.ts';
import type { JsonSchema, StructuralSchema } from './structural-schema.ts';

const folder = join(import.meta.dirname, '../../crds');

function schemaOf(file: string): StructuralSchema {
  const crd = parse(readFileSync(join(folder, file), 'utf8')) as { spec: { versions: { schema: { openAPIV3Schema: JsonSchema } }[] } };
  return compileSchema(crd.spec.versions[0]!.schema.openAPIV3Schema);
}

/** `{'spec.resources.requests.cpu': '2'}` onto an object; undefined removes. Dots within names are escaped by `\`. */
function changed(object: JsonObject, changes: Record<string, unknown>): JsonObject {
  const copy = structuredClone(object);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let at = copy;
    for (const key of keys) at = (at[key] ??= {}) as JsonObject;
    if (value === undefined) Reflect.deleteProperty(at, last);
    else at[last] = value;
  }
  return copy;
}

/** What the registry does with an object: everything that is wrong, as `field: message`. */
function judge(schema: StructuralSchema, object: JsonObject, old?: JsonObject): string[] {
  const unknown = schema.prune(object).map((path) => `${path}: unknown field`);
  schema.applyDefaults(object);
  const errors = schema.validate(object, old);
  const all = errors.length > 0 ? errors : schema.validateRules(object, old);
  return [...unknown, ...all.map(({ field, message }) => `${field}: ${message}`)];
}

const instance: JsonObject = {
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Instance',
  metadata: { name: 'wordcount', namespace: 'toto' },
  spec: {
    image: 'debian:12',
    command: ['/bin/sh', '-c'],
    args: ['sleep 60'],
    env: [
      { name: 'LANG', value: 'C' },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
      { name: 'COLOUR', value: '', valueFrom: { configMapKeyRef: { name: 'look.v1', key: 'colour', optional: true } } },
    ],
    envFrom: [{ secretRef: { name: 'all' } }, { prefix: 'APP_', configMapRef: { name: 'app', optional: true } }],
    workingDir: '/root',
    resources: {
      requests: { cpu: '1', memory: '2Gi', disk: '10Gi' },
      limits: { memory: '4Gi', disk: '10Gi', pids: '512', 'ingress-bandwidth': '20M', 'egress-bandwidth': '5M' },
    },
    placement: {
      providerSelector: { matchLabels: { 'kubernetes.io/arch': 'amd64' }, matchExpressions: [{ key: 'gpu', operator: 'Exists' }] },
      tolerations: [{ key: 'slow', operator: 'Exists' }],
      region: 'eu-west',
      near: { latitude: 45, longitude: 5.7, maxDistanceKm: 300 },
      spread: { by: 'owner' },
    },
  },
};

const provider: JsonObject = {
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Provider',
  metadata: { name: 'alans-desktop' },
  spec: {
    owner: 'alan',
    location: { region: 'eu-west', latitude: 45.2, longitude: 5.7 },
    offer: { cpu: '6', memory: '12Gi', disk: '200Gi', 'ingress-bandwidth': '200M' },
    perInstanceMax: { cpu: 4, memory: '8Gi', disk: '50Gi' },
    taints: [{ key: 'slow', effect: 'NoSchedule' }],
  },
};

type Wrong = [what: string, changes: Record<string, unknown>, field: string, message: RegExp];

const wrongInstances: Wrong[] = [
  ['no spec', { spec: undefined }, 'spec', /^Required value$/],
  ['no image', { 'spec.image': undefined }, 'spec.image', /^Required value$/],
  ['an empty image', { 'spec.image': '' }, 'spec.image', /at least 1 chars long/],
  ['an image with a space', { 'spec.image': 'debian 12' }, 'spec.image', /should match/],
  ['an image that is a number', { 'spec.image': 12 }, 'spec.image', /must be of type string: "integer"/],
  ['no resources', { 'spec.resources': undefined }, 'spec.resources', /^Required value$/],
  ['no requests', { 'spec.resources.requests': undefined }, 'spec.resources.requests', /^Required value$/],
  ['requests that are a list', { 'spec.resources.requests': [] }, 'spec.resources.requests', /must be of type object: "array"/],
  ['no memory request', { 'spec.resources.requests.memory': undefined }, 'spec.resources.requests', /cpu and memory must be requested/],
  ['an unknown resource', { 'spec.resources.requests.gpus': '1' }, 'spec.resources.requests', /one of cpu, memory, disk/],
  ['a request that is no quantity', { 'spec.resources.requests.memory': '2 gigs' }, 'spec.resources.requests.memory', /should match/],
  ['a negative request', { 'spec.resources.requests.cpu': '-1' }, 'spec.resources.requests.cpu', /should match/],
  ['a negative whole request', { 'spec.resources.requests.cpu': -1 }, 'spec.resources.requests', /greater than zero/],
  ['a request of nothing', { 'spec.resources.requests.cpu': '0' }, 'spec.resources.requests', /greater than zero/],
  [
    'a request of half a core as a JSON number',
    { 'spec.resources.requests.cpu': 0.5 },
    'spec.resources.requests.cpu',
    /integer,string: "number"/,
  ],
  ['a request with an absurd exponent', { 'spec.resources.requests.cpu': '1e999999999' }, 'spec.resources.requests', /must be a quantity/],
  ['a request of true', { 'spec.resources.requests.cpu': true }, 'spec.resources.requests.cpu', /integer,string: "boolean"/],
  ['2000 cores', { 'spec.resources.requests.cpu': '2000' }, 'spec.resources.requests', /at most 1024 cores/],
  ['too little memory', { 'spec.resources.requests.memory': '5Mi' }, 'spec.resources.requests', /at least 6Mi/],
  ['a request above its limit', { 'spec.resources.limits.memory': '1Gi' }, 'spec.resources', /must not be greater than the limit/],
  ['an unknown limit', { 'spec.resources.limits.bogus': '1' }, 'spec.resources.limits', /a limit is one of/],
  ['one and a half processes', { 'spec.resources.limits.pids': '1.5' }, 'spec.resources.limits', /pids must be a whole number/],
  [
    'half a graphics processor',
    { 'spec.resources.requests': { cpu: 1, memory: '1Gi', 'nvidia.com/gpu': '500m' } },
    'spec.resources.requests',
    /must be a whole number, at most 64/,
  ],
  [
    'a hundred graphics processors',
    { 'spec.resources.limits': { 'nvidia.com/gpu': 100 } },
    'spec.resources.limits',
    /must be a whole number, at most 64/,
  ],
  [
    'other graphics processors in limits than in requests',
    { 'spec.resources': { requests: { cpu: 1, memory: '1Gi', 'nvidia.com/gpu': 1 }, limits: { 'nvidia.com/gpu': 2 } } },
    'spec.resources',
    /must be the same in requests and limits/,
  ],
  ['a pull secret without name', { 'spec.imagePullSecrets': [{}] }, 'spec.imagePullSecrets[0].name', /^Required value$/],
  ['a pull secret by a path', { 'spec.imagePullSecrets': [{ name: '../x' }] }, 'spec.imagePullSecrets[0].name', /should match/],
  ['five million processes', { 'spec.resources.limits.pids': 5_000_000 }, 'spec.resources.limits', /at most 4194304/],
  ['latitude 91', { 'spec.placement.near.latitude': 91 }, 'spec.placement.near.latitude', /from -90 to 90/],
  ['longitude -180.5', { 'spec.placement.near.longitude': -180.5 }, 'spec.placement.near.longitude', /from -180 to 180/],
  ['latitude in words', { 'spec.placement.near.latitude': 'north' }, 'spec.placement.near.latitude', /must be of type number: "string"/],
  ['a distance of zero', { 'spec.placement.near.maxDistanceKm': 0 }, 'spec.placement.near.maxDistanceKm', /greater than or equal to 1$/],
  [
    'half a kilometre',
    { 'spec.placement.near.maxDistanceKm': 1.5 },
    'spec.placement.near.maxDistanceKm',
    /must be of type integer: "number"/,
  ],
  ['near without longitude', { 'spec.placement.near.longitude': undefined }, 'spec.placement.near.longitude', /^Required value$/],
  [
    'an unknown power state',
    { 'spec.powerState': 'Asleep' },
    'spec.powerState',
    /^Unsupported value: "Asleep": supported values: "Running", "Stopped"$/,
  ],
  ['an unknown restart policy', { 'spec.restartPolicy': 'Sometimes' }, 'spec.restartPolicy', /^Unsupported value/],
  ['an unknown field', { 'spec.colour': 'red' }, 'spec.colour', /^unknown field$/],
  ['a misspelt field deep inside', { 'spec.placement.near.lattitude': 1 }, 'spec.placement.near.lattitude', /^unknown field$/],
  [
    'the same variable twice',
    { 'spec.env': [{ name: 'A' }, { name: 'B' }, { name: 'A' }] },
    'spec.env[2]',
    /^Duplicate value: {"name":"A"}$/,
  ],
  ['a variable without name', { 'spec.env': [{ value: 'x' }] }, 'spec.env[0].name', /^Required value$/],
  ['a variable with = in its name', { 'spec.env': [{ name: 'A=B' }] }, 'spec.env[0].name', /should match/],
  [
    'a variable with two values',
    { 'spec.env': [{ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
    'spec.env[0].valueFrom',
    /may not be specified when `value` is not empty$/,
  ],
  ['a variable from nowhere', { 'spec.env': [{ name: 'A', valueFrom: {} }] }, 'spec.env[0].valueFrom', /must specify one of: secretKeyRef/],
  [
    'a variable from two places',
    { 'spec.env': [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' }, configMapKeyRef: { name: 'c', key: 'k' } } }] },
    'spec.env[0].valueFrom',
    /may not have more than one field specified at a time$/,
  ],
  [
    'a key with a slash',
    { 'spec.env': [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: '../k' } } }] },
    'spec.env[0].valueFrom.secretKeyRef.key',
    /should match/,
  ],
  [
    'a secret without name',
    { 'spec.env': [{ name: 'A', valueFrom: { secretKeyRef: { key: 'k' } } }] },
    'spec.env[0].valueFrom.secretKeyRef.name',
    /^Required value$/,
  ],
  [
    'a secret of another namespace',
    { 'spec.envFrom': [{ secretRef: { name: 'other/s' } }] },
    'spec.envFrom[0].secretRef.name',
    /should match/,
  ],
  [
    'an environment from nowhere',
    { 'spec.envFrom': [{ prefix: 'A_' }] },
    'spec.envFrom[0]',
    /must specify one of: secretRef, configMapRef$/,
  ],
  [
    'an environment from two places',
    { 'spec.envFrom': [{ secretRef: { name: 's' }, configMapRef: { name: 'c' } }] },
    'spec.envFrom[0]',
    /may not have more than one field specified at a time$/,
  ],
  ['a prefix with =', { 'spec.envFrom': [{ prefix: 'A=', secretRef: { name: 's' } }] }, 'spec.envFrom[0].prefix', /should match/],
  [
    '33 environments',
    { 'spec.envFrom': Array(33).fill({ secretRef: { name: 's' } }) },
    'spec.envFrom',
    /^Too many: 33: must have at most 32 items$/,
  ],
  ['a command that is a string', { 'spec.command': 'sleep 60' }, 'spec.command', /must be of type array: "string"/],
  ['257 arguments', { 'spec.args': Array(257).fill('a') }, 'spec.args', /^Too many: 257: must have at most 256 items$/],
  ['a relative working directory', { 'spec.workingDir': 'root' }, 'spec.workingDir', /should match/],
  [
    'values for Exists',
    { 'spec.placement.providerSelector.matchExpressions': [{ key: 'a', operator: 'Exists', values: ['b'] }] },
    'spec.placement.providerSelector.matchExpressions[0]',
    /values are needed for In and NotIn/,
  ],
  ['a name of 64 characters', { 'metadata.name': 'a'.repeat(64) }, 'metadata.name', /^Too long: may not be more than 63 bytes$/],
];

const wrongProviders: Wrong[] = [
  ['no owner', { 'spec.owner': undefined }, 'spec.owner', /^Required value$/],
  ['an owner that is no label', { 'spec.owner': 'Alan T.' }, 'spec.owner', /should match/],
  ['latitude 91', { 'spec.location.latitude': 91 }, 'spec.location.latitude', /from -90 to 90/],
  ['latitude alone', { 'spec.location.longitude': undefined }, 'spec.location', /go together/],
  ['no disk offered', { 'spec.offer.disk': undefined }, 'spec.offer', /cpu, memory and disk must be offered/],
  ['an unknown offer', { 'spec.offer.love': '1' }, 'spec.offer', /what is offered is one of/],
  [
    'an instance that may have more than there is',
    { 'spec.perInstanceMax.cpu': 8 },
    'spec.perInstanceMax',
    /must not be greater than the offer/,
  ],
  ['a dotted name', { 'metadata.name': 'a.b' }, 'metadata.name', /should match/],
  [
    'a taint twice',
    {
      'spec.taints': [
        { key: 'a', effect: 'NoSchedule' },
        { key: 'a', effect: 'NoSchedule' },
      ],
    },
    'spec.taints[1]',
    /^Duplicate value/,
  ],
  ['available in words', { 'spec.available': 'yes' }, 'spec.available', /must be of type boolean: "string"/],
  ['a grace beyond a day', { 'spec.withdrawalGraceSeconds': 86_401 }, 'spec.withdrawalGraceSeconds', /less than or equal to 86400$/],
];

const member: JsonObject = {
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Member',
  metadata: { name: 'toto' },
  spec: {
    displayName: 'Toto Ö.',
    email: 'toto@example.org',
    sshKeys: Object.values(sshLines),
    permissions: ['Use'],
    quota: { 'requests.cpu': 2 },
  },
};

const ed25519 = sshLines['ssh-ed25519'];
const sshKey = 'spec.sshKeys[0]';
const isNoWholeKey = /the base64 part must be a whole public key of the type that stands before it$/;

const wrongMembers: Wrong[] = [
  ['no spec', { spec: undefined }, 'spec', /^Required value$/],
  ['a member called default', { 'metadata.name': 'default' }, 'metadata.name', /cannot be called default, kube-… or potluck-…/],
  ['a member called kube-system', { 'metadata.name': 'kube-system' }, 'metadata.name', /cannot be called default/],
  ['a member called potluck-members', { 'metadata.name': 'potluck-members' }, 'metadata.name', /cannot be called default/],
  ['a name that is no label', { 'metadata.name': 'to.to' }, 'metadata.name', /should match/],
  ['a name of 41 characters', { 'metadata.name': 'a'.repeat(41) }, 'metadata.name', /^Too long: may not be more than 40 bytes$/],
  ['a display name of two lines', { 'spec.displayName': 'To\nto' }, 'spec.displayName', /should match/],
  ['an address without @', { 'spec.email': 'toto' }, 'spec.email', /should match/],
  ['an unknown permission', { 'spec.permissions': ['Rule'] }, 'spec.permissions[0]', /^Unsupported value: "Rule"/],
  ['a permission twice', { 'spec.permissions': ['Use', 'Use'] }, 'spec.permissions[1]', /^Duplicate value/],
  ['a bound that is no quantity', { 'spec.quota': { cpu: 'much' } }, 'spec.quota.cpu', /should match/],
  ['a negative bound', { 'spec.quota': { cpu: -1 } }, 'spec.quota', /none may be negative$/],
  ['half a secret', { 'spec.quota': { 'count/secrets': '500m' } }, 'spec.quota', /must be a whole number$/],
  ['a status that users do not write', { 'spec.namespace': 'x' }, 'spec.namespace', /^unknown field$/],
  ['the same SSH key twice', { 'spec.sshKeys': [ed25519, ed25519] }, 'spec.sshKeys[1]', /^Duplicate value/],
  ['an SSH key that is not there', { 'spec.sshKeys': [''] }, sshKey, /at least 1 chars long/],
  ['a private SSH key', { 'spec.sshKeys': ['-----BEGIN OPENSSH PRIVATE KEY-----'] }, sshKey, /this is a private key; give the public one/],
  ['options before an SSH key', { 'spec.sshKeys': [`no-pty ${ed25519}`] }, sshKey, /without options before it$/],
  ['a DSA key', { 'spec.sshKeys': [sshLine('ssh-dss', 'x')] }, sshKey, /must begin with one of ssh-ed25519, ssh-rsa/],
  ['two SSH keys in one line', { 'spec.sshKeys': [`${ed25519}\n${ed25519}`] }, sshKey, /must be one line/],
  ['a line feed after an SSH key', { 'spec.sshKeys': [`${ed25519}\n`] }, sshKey, /must be one line/],
  ['two spaces in an SSH key', { 'spec.sshKeys': [ed25519.replace(' ', '  ')] }, sshKey, /with one space between$/],
  ['an SSH key of another type', { 'spec.sshKeys': [ed25519.replace('ssh-ed25519', 'ssh-rsa')] }, sshKey, isNoWholeKey],
  ['an SSH key that is cut', { 'spec.sshKeys': [ed25519.slice(0, -4)] }, sshKey, isNoWholeKey],
  ['an SSH key that is too long', { 'spec.sshKeys': [sshLine('ssh-ed25519', new Uint8Array(32), 'x')] }, sshKey, isNoWholeKey],
  ['an SSH key on another curve', { 'spec.sshKeys': [sshLine('ecdsa-sha2-nistp256', 'nistp384', curvePoint(48))] }, sshKey, isNoWholeKey],
  ['an RSA key of 2040 bits', { 'spec.sshKeys': [sshLine('ssh-rsa', rsaExponent, rsaModulus(2040))] }, sshKey, /at least 2048 bits$/],
  [
    'a line of 2049 characters',
    { 'spec.sshKeys': [`${ed25519} ${'x'.repeat(1968)}`] },
    sshKey,
    /^Too long: may not be more than 2048 bytes$/,
  ],
];

describe('the schemas of crds/', () => {
  const instances = schemaOf('instance.yaml');
  const providers = schemaOf('provider.yaml');
  const members = schemaOf('member.yaml');

  function checkWrong(schema: StructuralSchema, right: JsonObject, wrong: Wrong[]): void {
    for (const [what, changes, field, message] of wrong) {
      it(`names ${field} for ${what}`, () => {
        const found = judge(schema, changed(right, changes));
        const match = found.filter((text) => text.startsWith(`${field}: `) && message.test(text.slice(field.length + 2)));
        assert.equal(match.length, 1, found.join('\n'));
      });
    }
  }

  it('take a full instance, a small one, numbers for quantities, and a provider', () => {
    assert.deepEqual(judge(instances, changed(instance, {})), []);
    const small = {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name: 'a' },
      spec: { image: 'debian:12', resources: { requests: { cpu: 1, memory: '64Mi' } } },
    };
    assert.deepEqual(judge(instances, small), []);
    assert.deepEqual(judge(instances, changed(instance, { 'spec.resources.requests.cpu': '.5', 'spec.resources.limits.pids': 512 })), []);
    assert.deepEqual(judge(providers, changed(provider, {})), []);
    assert.deepEqual(judge(providers, changed(provider, { 'spec.location': undefined, 'spec.perInstanceMax': undefined })), []);
  });

  it('fill in what the user left out', () => {
    const filled = changed(instance, { 'spec.placement': undefined, 'spec.env': [{ name: 'A' }] });
    instances.applyDefaults(filled);
    const { placement, powerState, restartPolicy, env } = filled['spec'] as JsonObject;
    assert.deepEqual(
      { placement, powerState, restartPolicy, env },
      { placement: {}, powerState: 'Running', restartPolicy: 'Always', env: [{ name: 'A', value: '' }] },
    );
  });

  checkWrong(instances, instance, wrongInstances);
  checkWrong(providers, provider, wrongProviders);
  checkWrong(members, member, wrongMembers);

  it('take SSH keys of every type, at most as many and as long as may be, within the cost of rules', () => {
    assert.deepEqual(judge(members, changed(member, {})), []);
    for (const exponent of [[3], [1, 1], [1, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0, 1]]) {
      const line = (bits: number): string => sshLine('ssh-rsa', Uint8Array.from(exponent), rsaModulus(bits));
      assert.deepEqual(judge(members, changed(member, { 'spec.sshKeys': [line(2048), line(8192)] })), []);
      assert.equal(judge(members, changed(member, { 'spec.sshKeys': [line(2040)] })).length, 1);
    }
    const lines = Array.from({ length: 32 }, (_, index) => {
      const line = `${sshLines[sshKeyTypes[index % sshKeyTypes.length]!]} ${index} `;
      return line + 'x'.repeat(2048 - line.length);
    });
    assert.deepEqual(judge(members, changed(member, { 'spec.sshKeys': lines })), []);
  });

  it('take no SSH key whose first bytes are not those of its type', () => {
    const type = fc.constantFrom(...sshKeyTypes);
    fc.assert(
      fc.property(type, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, flip) => {
        const blob = parseSshPublicKey(sshLines[one]).key?.blob ?? new Uint8Array();
        blob[at % (one.length + 4)]! ^= flip;
        const line = `${one} ${Buffer.from(blob).toString('base64')}`;
        assert.notDeepEqual(judge(members, changed(member, { 'spec.sshKeys': [line] })), []);
      }),
    );
  });

  const immutable: [string, StructuralSchema, JsonObject, Record<string, unknown>, string][] = [
    [
      'the disk request',
      instances,
      instance,
      { 'spec.resources.requests.disk': '5Gi' },
      'spec.resources.requests: Invalid value: the disk request cannot be changed; delete the instance and create it anew',
    ],
    [
      'the disk limit',
      instances,
      instance,
      { 'spec.resources.limits.disk': '20Gi' },
      'spec.resources: Invalid value: the disk limit cannot be changed; delete the instance and create it anew',
    ],
    [
      'the owner',
      providers,
      provider,
      { 'spec.owner': 'eve' },
      'spec.owner: Invalid value: the owner cannot be changed; the machine leaves and joins anew',
    ],
  ];
  for (const [what, schema, right, changes, error] of immutable) {
    it(`keep ${what}`, () => {
      assert.deepEqual(judge(schema, changed(right, changes), right), [error]);
      assert.deepEqual(judge(schema, changed(right, changes)), []);
    });
  }

  it('let everything else of an instance change', () => {
    const changes = {
      'spec.resources.requests.cpu': '2',
      'spec.resources.limits.memory': '8Gi',
      'spec.image': 'debian:13',
      'spec.powerState': 'Stopped',
    };
    assert.deepEqual(judge(instances, changed(instance, changes), instance), []);
  });
});

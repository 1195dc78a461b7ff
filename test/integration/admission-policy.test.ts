/** Admission policies over a real API server and etcd: as users write them, and the ones that every pool has. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import { controllerUser, mastersGroup, providerLeaseNamespace, providersGroup, providerUser } from '../../api/names.ts';
import type { Status } from '../../api/status.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import type { Credentials, RawAnswer } from '../support/https-request.ts';
import { rawRequest, readCredentials } from '../support/https-request.ts';

const policiesPath = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
const bindingsPath = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings';
const potluck = '/apis/potluck.dev/v1alpha1';
const instancesPath = `${potluck}/namespaces/default/instances`;
const leasesPath = `/apis/coordination.k8s.io/v1/namespaces/${providerLeaseNamespace}/leases`;
const configMaps = '/api/v1/namespaces/default/configmaps';
const rules = (operations: string[], resources: string[], apiGroups = ['']): object => ({
  resourceRules: [{ apiGroups, apiVersions: ['*'], operations, resources }],
});

describe('admission policies', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: Credentials;
  let controller: Credentials;

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
    controller = await credentialsOf(controllerUser, []);
  });
  after(() => api.stop());

  async function credentialsOf(commonName: string, organizations: string[]): Promise<Credentials> {
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: [], now: Date.now });
    const pair = await pki.issueClientCertificate({ commonName, organizations, lifetimeMs: 86_400_000 });
    return { ca: Buffer.from(pki.caPem), cert: Buffer.from(pair.certPem), key: Buffer.from(pair.keyPem) };
  }

  const send = (as: Credentials, method: string, path: string, body?: object, type = 'application/json'): Promise<RawAnswer> =>
    rawRequest(`${api.url}${path}`, as, {
      method,
      headers: { 'content-type': type },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const patch = (as: Credentials, path: string, body: object): Promise<RawAnswer> =>
    send(as, 'PATCH', path, body, 'application/merge-patch+json');
  const made = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await send(admin, 'POST', path, body);
    assert.equal(answer.code, 201, answer.body.toString());
    return answer.json ?? {};
  };
  const statusOf = ({ json }: RawAnswer): Status => json as unknown as Status;

  /** Puts a policy and its binding there for as long as `work` takes; `shows` must be refused before it begins. */
  async function withPolicy(spec: object, binding: object, work: (name: string) => Promise<void>): Promise<void> {
    const name = `p-${randomUUID().slice(0, 8)}`;
    await made(policiesPath, { metadata: { name }, spec });
    await made(bindingsPath, { metadata: { name: `${name}-b` }, spec: { policyName: name, ...binding } });
    try {
      await work(name);
    } finally {
      await send(admin, 'DELETE', `${bindingsPath}/${name}-b`);
      await send(admin, 'DELETE', `${policiesPath}/${name}`);
    }
  }

  const configMap = (data: object = {}, labels: object = {}): Record<string, unknown> => ({
    metadata: { name: `c-${randomUUID().slice(0, 8)}`, labels },
    data,
  });

  /** Waits until a request is refused by the policy called `name`, and answers the refusal. */
  const refusedBy = (name: string, attempt: () => Promise<RawAnswer>): Promise<RawAnswer> =>
    eventually(
      async () => {
        const answer = await attempt();
        assert.match(statusOf(answer).message ?? '', new RegExp(`'${name}'`, 'u'));
        return answer;
      },
      { timeoutMs: 1_000, intervalMs: 5, what: `${name} to refuse` },
    );

  describe('that a user writes', () => {
    it('refuse within a second, in the words and with the code of Kubernetes', async () => {
      const spec = { matchConstraints: rules(['CREATE'], ['configmaps']), validations: [{ expression: '  has(object.data.ok)' }] };
      await withPolicy(spec, { validationActions: ['Deny'] }, async (name) => {
        const subject = configMap({ bad: '1' });
        const answer = await refusedBy(name, () => send(admin, 'POST', configMaps, subject));
        const subjectName = (subject['metadata'] as { name: string }).name;
        const text = `ValidatingAdmissionPolicy '${name}' with binding '${name}-b' denied request: failed expression: has(object.data.ok)`;
        assert.deepEqual(answer.json, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: `configmaps "${subjectName}" is forbidden: ${text}`,
          reason: 'Invalid',
          details: { name: subjectName, kind: 'configmaps', causes: [{ message: text }] },
          code: 422,
        });
        assert.equal((await send(admin, 'POST', configMaps, configMap({ ok: '1' }))).code, 201);
      });
    });

    for (const [reason, code] of [
      ['Forbidden', 403],
      ['Unauthorized', 401],
      ['RequestEntityTooLarge', 413],
      ['Invalid', 422],
    ] as const) {
      it(`answer ${code} for the reason ${reason}, with the message that messageExpression makes`, async () => {
        const validations = [
          {
            expression: "!('no' in object.data)",
            reason,
            message: 'fixed',
            messageExpression: "variables.who + ' may not'",
          },
        ];
        const variables = [{ name: 'who', expression: 'request.userInfo.username' }];
        const spec = { matchConstraints: rules(['CREATE'], ['configmaps']), variables, validations };
        await withPolicy(spec, { validationActions: ['Deny'] }, async (name) => {
          const answer = await refusedBy(name, () => send(admin, 'POST', configMaps, configMap({ no: '1' })));
          assert.equal(answer.code, code);
          assert.equal(statusOf(answer).reason, reason);
          assert.match(statusOf(answer).message ?? '', /denied request: potluck-admin may not$/u);
        });
      });
    }

    it('know what was there before, on changes and deletions, and dry runs', async () => {
      const spec = {
        matchConstraints: rules(['UPDATE', 'DELETE'], ['configmaps']),
        validations: [
          { expression: "request.operation != 'UPDATE' || object.data.fixed == oldObject.data.fixed", message: 'fixed changed' },
          { expression: "request.operation != 'DELETE' || (object == null && !has(oldObject.data.keep))", message: 'kept' },
        ],
      };
      const subject = configMap({ fixed: '1', keep: '1' });
      const path = `${configMaps}/${(subject['metadata'] as { name: string }).name}`;
      await made(configMaps, subject);
      await withPolicy(spec, { validationActions: ['Deny'] }, async (name) => {
        await refusedBy(name, () => send(admin, 'DELETE', `${path}?dryRun=All`));
        await refusedBy(name, () => send(admin, 'DELETE', path));
        assert.match(statusOf(await patch(admin, path, { data: { fixed: '2' } })).message ?? '', /fixed changed$/u);
        assert.match(statusOf(await patch(admin, `${path}?dryRun=All`, { data: { fixed: '2' } })).message ?? '', /fixed changed$/u);
        assert.equal((await patch(admin, path, { data: { other: '2' } })).code, 200);
        assert.equal((await patch(admin, path, { data: { keep: null } })).code, 200);
        assert.equal((await send(admin, 'DELETE', path)).code, 200);
      });
    });

    it('warn instead of refusing where the binding says so, once', async () => {
      const spec = { matchConstraints: rules(['CREATE'], ['configmaps']), validations: [{ expression: 'false', message: 'odd' }] };
      await withPolicy(spec, { validationActions: ['Warn', 'Audit'] }, async (name) => {
        const warning = await eventually(
          async () => {
            const answer = await send(admin, 'POST', configMaps, configMap());
            assert.equal(answer.code, 201);
            assert.ok(answer.headers.warning);
            return answer.headers.warning;
          },
          { timeoutMs: 1_000, intervalMs: 5, what: 'a warning' },
        );
        assert.equal(warning, `299 - "Validation failed for ValidatingAdmissionPolicy '${name}' with binding '${name}-b': odd"`);
      });
    });

    it('fail closed when an expression cannot be evaluated, open when they say Ignore', async () => {
      const base = { matchConstraints: rules(['CREATE'], ['configmaps']), validations: [{ expression: "object.data.absent == 'x'" }] };
      await withPolicy(base, { validationActions: ['Deny'] }, async (name) => {
        const answer = await refusedBy(name, () => send(admin, 'POST', configMaps, configMap({ a: '1' })));
        assert.match(
          statusOf(answer).message ?? '',
          /denied request: expression 'object\.data\.absent == 'x'' resulted in error: no such key: absent$/u,
        );
      });
      const open = {
        ...base,
        failurePolicy: 'Ignore',
        validations: [...base.validations, { expression: '!has(object.data.stop)', message: 'stop' }],
      };
      await withPolicy(open, { validationActions: ['Deny'] }, async (name) => {
        await refusedBy(name, () => send(admin, 'POST', configMaps, configMap({ stop: '1' })));
        assert.equal((await send(admin, 'POST', configMaps, configMap({ a: '1' }))).code, 201);
      });
    });

    it('apply where selectors and match conditions say, and not where they are excluded', async () => {
      const spec = {
        matchConstraints: {
          ...rules(['*'], ['configmaps']),
          objectSelector: { matchLabels: { strict: 'yes' } },
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
          excludeResourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['DELETE'], resources: ['*'] }],
        },
        matchConditions: [{ name: 'no-controller', expression: `request.userInfo.username != '${controllerUser}'` }],
        validations: [{ expression: 'namespaceObject.metadata.name != request.namespace', message: 'seen' }],
      };
      const strict = { strict: 'yes' };
      await withPolicy(spec, { validationActions: ['Deny'] }, async (name) => {
        await refusedBy(name, () => send(admin, 'POST', configMaps, configMap({}, strict)));
        const free = configMap();
        const path = `${configMaps}/${(free['metadata'] as { name: string }).name}`;
        assert.equal((await send(admin, 'POST', configMaps, free)).code, 201);
        assert.equal((await send(admin, 'POST', configMaps.replace('default', 'kube-system'), configMap({}, strict))).code, 201);
        assert.equal((await patch(admin, path, { metadata: { labels: strict } })).code, 422);
        assert.equal((await patch(controller, path, { metadata: { labels: strict } })).code, 200);
        // The label that it had counts as well as the one that it gets.
        assert.equal((await patch(admin, path, { metadata: { labels: { strict: null } } })).code, 422);
        assert.equal((await send(admin, 'DELETE', path)).code, 200);
      });
    });

    it('take parameters from objects, by name and by selector', async () => {
      await made(configMaps, { metadata: { name: 'most-keys', labels: { role: 'limit' } }, data: { most: '1' } });
      const spec = {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        matchConstraints: rules(['CREATE'], ['secrets']),
        validations: [{ expression: 'size(object.data) <= int(params.data.most)', messageExpression: "'at most ' + params.data.most" }],
      };
      const secret = (data: object): object => ({ metadata: { name: `s-${randomUUID().slice(0, 8)}` }, stringData: data });
      const secrets = '/api/v1/namespaces/default/secrets';
      for (const paramRef of [{ name: 'most-keys' }, { selector: { matchLabels: { role: 'limit' } } }]) {
        const binding = { paramRef: { ...paramRef, parameterNotFoundAction: 'Deny' }, validationActions: ['Deny'] };
        await withPolicy(spec, binding, async (name) => {
          const answer = await refusedBy(name, () => send(admin, 'POST', secrets, secret({ a: '1', b: '2' })));
          assert.match(statusOf(answer).message ?? '', /: at most 1$/u);
          assert.equal((await send(admin, 'POST', secrets, secret({ a: '1' }))).code, 201);
        });
      }
      const absent = (parameterNotFoundAction: string): object => ({
        paramRef: { name: 'nowhere', parameterNotFoundAction },
        validationActions: ['Deny'],
      });
      await withPolicy(spec, absent('Deny'), async (name) => {
        const answer = await refusedBy(name, () => send(admin, 'POST', secrets, secret({})));
        assert.match(
          statusOf(answer).message ?? '',
          /: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction$/u,
        );
      });
    });

    it('are checked when they are written', async () => {
      const refused = await send(admin, 'POST', policiesPath, {
        metadata: { name: 'broken' },
        spec: {
          matchConstraints: { resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: [], resources: ['configmaps'] }] },
          variables: [{ name: 'a', expression: 'variables.b' }],
          validations: [{ expression: 'object.x +' }, { expression: '"text"' }, { expression: 'true', messageExpression: '1' }],
        },
      });
      assert.equal(refused.code, 422);
      const fields = statusOf(refused).details?.causes?.map(({ field }) => field);
      assert.deepEqual(fields, [
        'spec.matchConstraints.resourceRules[0].operations',
        'spec.variables[0].expression',
        'spec.validations[0].expression',
        'spec.validations[1].expression',
        'spec.validations[2].messageExpression',
      ]);
      const binding = await send(admin, 'POST', bindingsPath, {
        metadata: { name: 'b' },
        spec: { policyName: 'x', validationActions: ['Deny', 'Warn'] },
      });
      assert.match(statusOf(binding).message ?? '', /must not contain both Deny and Warn/u);
    });

    it('cannot lock out those who write policies', async () => {
      const spec = { matchConstraints: rules(['*'], ['*'], ['*']), validations: [{ expression: 'false', message: 'nothing' }] };
      await withPolicy(spec, { validationActions: ['Deny'] }, async (name) => {
        await refusedBy(name, () => send(admin, 'POST', configMaps, configMap()));
      });
      const free = async (): Promise<void> => {
        assert.equal((await send(admin, 'POST', configMaps, configMap())).code, 201);
      };
      await eventually(free, { timeoutMs: 1_000, intervalMs: 5, what: 'the policy to be gone' });
    });

    it('print as Kubernetes prints them', async () => {
      const { stdout } = await api.kubectl(['get', 'validatingadmissionpolicies,validatingadmissionpolicybindings']);
      assert.match(stdout, /^NAME +VALIDATIONS +PARAMKIND +AGE$/mu);
      assert.match(stdout, /potluck-provider-lease +3 +<unset> +\d+s/u);
      assert.match(stdout, /^NAME +POLICYNAME +PARAMREF +AGE$/mu);
    });
  });

  describe('that every pool has', () => {
    interface Machine {
      name: string;
      uid: string;
      credentials: Credentials;
    }
    let own: Machine;
    let other: Machine;
    let user: Credentials;

    before(async () => {
      own = await machine('own');
      other = await machine('other');
      user = await credentialsOf('mallory', [mastersGroup]);
    });

    async function machine(name: string): Promise<Machine> {
      const spec = { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } };
      const provider = await made(`${potluck}/providers`, {
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Provider',
        metadata: { name },
        spec,
      });
      const { uid } = provider['metadata'] as { uid: string };
      return { name, uid, credentials: await credentialsOf(providerUser(uid), [providersGroup]) };
    }

    /** An instance that is bound to a provider at epoch 3, or to none; answers its path. */
    async function instanceOf(provider: Machine | undefined): Promise<string> {
      const name = `i-${randomUUID().slice(0, 8)}`;
      await made(instancesPath, {
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Instance',
        metadata: { name },
        spec: { image: 'debian:12', resources: { requests: { cpu: '1', memory: '1Gi' } } },
      });
      const path = `${instancesPath}/${name}`;
      if (provider === undefined) return path;
      const assignment = { providerName: provider.name, providerUID: provider.uid, epoch: 3 };
      assert.equal((await patch(controller, `${path}/status`, { status: { assignment, lastEpoch: 3, hostname: 'h' } })).code, 200);
      return path;
    }

    const noRelationship = /no relationship found between provider "(own|other)" and this object/u;
    const says = (answer: RawAnswer, message: RegExp): void => {
      assert.equal(answer.code, 403, answer.body.toString());
      assert.match(statusOf(answer).message ?? '', message);
    };

    it('let a provider write the status of its own instance, at the present epoch only', async () => {
      const path = `${await instanceOf(own)}/status`;
      assert.equal((await patch(own.credentials, path, { status: { observedEpoch: 3, phase: 'Running' } })).code, 200);
      says(
        await patch(own.credentials, path, { status: { observedEpoch: 2, phase: 'Failed' } }),
        /observedEpoch must be 3, the epoch of the present/u,
      );
      says(await patch(own.credentials, path, { status: { observedEpoch: null } }), /observedEpoch must be 3/u);
      says(await patch(other.credentials, path, { status: { phase: 'Failed' } }), noRelationship);
      says(await patch(other.credentials, path, {}), noRelationship);
      const stored = (await send(admin, 'GET', path.replace('/status', ''))).json as unknown as Instance;
      assert.equal(stored.status?.phase, 'Running');
    });

    it('let nobody but the controller assign an instance', async () => {
      const bound = `${await instanceOf(own)}/status`;
      const free = `${await instanceOf(undefined)}/status`;
      const assignment = { providerName: own.name, providerUID: own.uid, epoch: 4 };
      says(
        await patch(own.credentials, bound, { status: { assignment, observedEpoch: 4 } }),
        /only the controller writes status\.assignment/u,
      );
      says(await patch(own.credentials, bound, { status: { assignment: null, observedEpoch: 3 } }), noRelationship);
      says(await patch(own.credentials, free, { status: { assignment, observedEpoch: 4 } }), noRelationship);
      says(await patch(own.credentials, free, { status: { phase: 'Running', observedEpoch: 0 } }), noRelationship);
      says(await patch(own.credentials, bound, { status: { lastEpoch: 9, observedEpoch: 3 } }), /status\.lastEpoch/u);
      says(await patch(own.credentials, bound, { status: { hostname: 'mine', observedEpoch: 3 } }), /status\.hostname/u);
      assert.equal((await patch(user, free, { status: { assignment } })).code, 200, 'masters may');
    });

    it('keep labels, annotations and finalizers of an instance from its provider', async () => {
      const path = await instanceOf(own);
      const metadata = { labels: { a: 'b' }, annotations: { a: 'b' }, finalizers: ['a/b'] };
      const answer = await patch(own.credentials, `${path}/status`, { metadata, status: { observedEpoch: 3 } });
      assert.equal(answer.code, 200);
      const stored = (await send(admin, 'GET', path)).json as unknown as Instance;
      assert.equal(stored.status?.observedEpoch, 3);
      const { labels, annotations, finalizers } = stored.metadata;
      assert.deepEqual({ labels, annotations, finalizers }, { labels: undefined, annotations: undefined, finalizers: undefined });
    });

    it('let a provider write its own status only', async () => {
      const path = (name: string): string => `${potluck}/providers/${name}/status`;
      const status = { status: { capacity: { cpu: '4' } } };
      assert.equal((await patch(own.credentials, path('own'), status)).code, 200);
      says(await patch(own.credentials, path('other'), status), noRelationship);
    });

    it('leave to the controller what it says of a provider', async () => {
      const path = `${potluck}/providers/own/status`;
      const condition = { type: 'Ready', status: 'True', reason: 'LeaseRenewed', message: '', lastTransitionTime: '2030-01-01T00:00:00Z' };
      says(await patch(own.credentials, path, { status: { phase: 'Ready' } }), /only the controller writes status\.phase/u);
      says(await patch(own.credentials, path, { status: { withdrawnAt: '2030-01-01T00:00:00Z' } }), /status\.withdrawnAt/u);
      says(await patch(own.credentials, path, { status: { conditions: [condition] } }), /only the controller writes the condition Ready/u);
      assert.equal((await patch(controller, path, { status: { phase: 'Ready', conditions: [condition] } })).code, 200);
      const other = { ...condition, type: 'EngineReady' };
      assert.equal((await patch(own.credentials, path, { status: { conditions: [condition, other] } })).code, 200);
      says(await patch(own.credentials, path, { status: { conditions: [other] } }), /the condition Ready/u);
    });

    it('let nobody but the controller write the key by which a provider is known', async () => {
      const key = 'A'.repeat(43);
      const body = {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'keys' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'keyholder' }],
      };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
      await made('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { ...body, roleRef });
      const keyholder = await credentialsOf('keyholder', []);
      const path = `${potluck}/providers/other`;
      await eventually(async () => assert.equal((await patch(keyholder, path, {})).code, 200), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the binding to be in force',
      });
      says(await patch(keyholder, path, { spec: { identityKey: key } }), /only the controller writes spec\.identityKey/u);
      assert.equal((await patch(controller, path, { spec: { identityKey: key } })).code, 200);
      assert.equal((await patch(keyholder, path, { metadata: { labels: { a: 'b' } } })).code, 200);
    });

    it('let a provider write an inventory of its own only', async () => {
      const inventories = `${potluck}/providerinventories`;
      const inventory = (name: string, providerUID: string): Record<string, unknown> => ({
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'ProviderInventory',
        metadata: { name },
        spec: { owner: 'tests', providerUID },
      });
      says(await send(own.credentials, 'POST', inventories, inventory('other', own.uid)), noRelationship);
      says(await send(own.credentials, 'POST', inventories, inventory('own', other.uid)), /the inventory is another provider's/u);
      assert.equal((await send(own.credentials, 'POST', inventories, inventory('own', own.uid))).code, 201);
      const path = `${inventories}/own`;
      const current = (await send(admin, 'GET', path)).json ?? {};
      says(await send(other.credentials, 'PUT', `${path}/status`, { ...current, status: { hostname: 'x' } }), noRelationship);
      says(await send(other.credentials, 'PUT', path, { ...current, spec: { owner: 'tests', providerUID: other.uid } }), noRelationship);
      says(
        await send(own.credentials, 'PUT', path, { ...current, spec: { owner: 'tests', providerUID: other.uid } }),
        /another provider's/u,
      );
      assert.equal((await send(own.credentials, 'PUT', `${path}/status`, { ...current, status: { hostname: 'x' } })).code, 200);
    });

    it('let a provider hold a lease in its own name, and take none from another', async () => {
      const lease = (name: string, holderIdentity: string): object => ({
        metadata: { name },
        spec: { holderIdentity, leaseDurationSeconds: 40 },
      });
      assert.equal((await send(own.credentials, 'POST', leasesPath, lease('own', own.uid))).code, 201);
      says(await send(own.credentials, 'POST', leasesPath, lease('other', own.uid)), noRelationship);
      says(await patch(other.credentials, `${leasesPath}/own`, { spec: { holderIdentity: other.uid } }), noRelationship);
      await made(leasesPath, lease('other', own.uid));
      says(
        await patch(other.credentials, `${leasesPath}/other`, { spec: { holderIdentity: other.uid } }),
        /another provider holds the lease/u,
      );
      says(await patch(own.credentials, `${leasesPath}/own`, { spec: { holderIdentity: other.uid } }), /only in its own name/u);
      assert.equal((await patch(own.credentials, `${leasesPath}/own`, { spec: { renewTime: '2030-01-01T00:00:00.000000Z' } })).code, 200);
    });
  });
});

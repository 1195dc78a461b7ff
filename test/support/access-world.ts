/** A pool with two members and a machine of each, one more of neither, and of every resource one object that belongs to each. */
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { openPki } from '../../apiserver/access/pki.ts';
import type { Pki } from '../../apiserver/access/pki.ts';
import { newSigningRequest } from './signing-request.ts';
import { providersGroup, providerLeaseNamespace, providerSigner, providerUser } from '../../api/names.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { instances, members, providers } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import type { RunningController } from '../../controller/reconcilers.ts';
import { startController } from '../../controller/reconcilers.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { DiscoveredResource, MatrixTarget, MatrixUser, Owner } from './access-matrix.ts';
import { discoverResources, owners, resourceName } from './access-matrix.ts';
import { startTestApiServer } from './api-server.ts';
import type { TestApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';
import { rawRequest, readCredentials } from './https-request.ts';
import { instanceManifest } from './manifests.ts';

export const memberOf: Record<Owner, string> = { own: 'toto', other: 'mona', free: 'commons' };
export const machineOf = (owner: Owner): string => `${owner}-machine`;

export class AccessWorld {
  readonly api: TestApiServer;
  readonly client: KubeClient;
  readonly resources: readonly DiscoveredResource[];
  readonly uids: Record<Owner, string>;
  readonly #controller: RunningController;
  readonly #pki: Pki;

  private constructor(parts: {
    api: TestApiServer;
    client: KubeClient;
    controller: RunningController;
    pki: Pki;
    resources: readonly DiscoveredResource[];
    uids: Record<Owner, string>;
  }) {
    this.api = parts.api;
    this.client = parts.client;
    this.#controller = parts.controller;
    this.#pki = parts.pki;
    this.resources = parts.resources;
    this.uids = parts.uids;
  }

  static async start(): Promise<AccessWorld> {
    const api = await startTestApiServer();
    const client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'potluck-test' });
    const controller = await startController({ client, logger: silentLogger, identity: 'test', leaderElection: false });
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1'], now: () => Date.now() });
    const stop = async (): Promise<void> => {
      await controller.stop();
      client.close();
      await api.stop();
    };
    try {
      const resources = await discoverResources(client);
      await makeMembers(client);
      const uids = {} as Record<Owner, string>;
      for (const owner of owners) uids[owner] = await makeMachine(client, owner);
      const world = new AccessWorld({ api, client, controller, pki, resources, uids });
      for (const owner of owners) await world.#fill(owner);
      return world;
    } catch (error) {
      await stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#controller.stop();
    this.client.close();
    await this.api.stop();
  }

  /** A machine, by a certificate. */
  async machine(owner: Owner): Promise<MatrixUser> {
    const { ca } = await readCredentials(this.api.kubeconfigPath);
    const subject = { commonName: providerUser(this.uids[owner]), organizations: [providersGroup], lifetimeMs: 3_600_000 };
    const pair = await this.#pki.issueClientCertificate(subject);
    return { url: this.api.url, credentials: { ca, cert: Buffer.from(pair.certPem), key: Buffer.from(pair.keyPem) }, headers: {} };
  }

  /** A member, by a token. */
  async member(owner: Owner): Promise<MatrixUser> {
    const { ca } = await readCredentials(this.api.kubeconfigPath);
    const path = `/api/v1/namespaces/potluck-members/serviceaccounts/${memberOf[owner]}/token`;
    const answer = (await this.client.request('POST', path, { spec: { expirationSeconds: 3600 } })) as { status: { token: string } };
    return { url: this.api.url, credentials: { ca }, headers: { authorization: `Bearer ${answer.status.token}` } };
  }

  /** Where an owner's object is; for machines and for people it can lie in different places. */
  target(resource: DiscoveredResource, owner: Owner, by: 'machine' | 'member'): MatrixTarget {
    const name = nameOf(resource, owner, this.uids[owner]);
    const namespace = namespaceOf(resource, owner, by);
    const make = manifests[manifestKey(resource)];
    if (make === undefined)
      throw new TypeError(`no manifest for ${resourceName(resource)}: write one, and say in the tables who may do what`);
    const fieldSelector = this.#selector(resource, owner, by);
    const own = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
    const apiVersion = resource.kind === 'TokenRequest' ? 'authentication.k8s.io/v1' : own;
    const isNamed = ['leases', 'providerinventories', 'providerreservations'].includes(resource.resource) && by === 'machine';
    const metadata = { name: isNamed ? name : newNameOf(resource, name), ...(resource.namespaced ? { namespace } : {}) };
    return {
      name,
      ...(resource.namespaced ? { namespace } : {}),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      manifest: { apiVersion, kind: resource.kind, metadata, ...make({ owner, uid: this.uids[owner], namespace }) },
    };
  }

  #selector({ group, resource }: DiscoveredResource, owner: Owner, by: 'machine' | 'member'): string | undefined {
    if (group !== 'potluck.dev') return undefined;
    if (by === 'machine') {
      if (resource === 'instances' && owner !== 'free') return `status.assignment.providerUID=${this.uids[owner]}`;
      return resource === 'providers' && owner !== 'free' ? `metadata.name=${machineOf(owner)}` : undefined;
    }
    if (owner === 'free') return undefined;
    if (resource === 'members') return `metadata.name=${memberOf[owner]}`;
    return ['providerinventories', 'jointokens'].includes(resource) ? `spec.owner=${memberOf[owner]}` : undefined;
  }

  /** One object of every resource that can be created, where machines and where people will look for it. */
  async #fill(owner: Owner): Promise<void> {
    for (const by of ['member', 'machine'] as const) {
      for (const resource of this.resources) {
        if (resource.subresource !== undefined || !resource.verbs.includes('get') || !resource.verbs.includes('create')) continue;
        const { name, manifest, namespace } = this.target(resource, owner, by);
        const object = { ...manifest, metadata: { ...(manifest as KubernetesObject).metadata, name } };
        if (resource.resource === 'certificatesigningrequests' && owner !== 'free') await this.#postAsMachine(owner, object);
        else await this.#post(resource, namespace, object);
      }
    }
    if (owner !== 'free') await this.#assign(owner);
  }

  async #post({ group, version, resource, namespaced }: DiscoveredResource, namespace: string | undefined, object: object): Promise<void> {
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const path = `${root}${namespaced ? `/namespaces/${namespace ?? ''}` : ''}/${resource}`;
    await this.client.request('POST', path, object).catch((error: unknown) => {
      // Made by a controller, or under another version.
      if ((error as { code?: number }).code !== 409) throw error;
    });
  }

  async #postAsMachine(owner: Owner, object: object): Promise<void> {
    const { url, credentials } = await this.machine(owner);
    const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
    const headers = { 'content-type': 'application/json' };
    const answer = await rawRequest(`${url}${path}`, credentials, { method: 'POST', headers, body: JSON.stringify(object) });
    if (answer.code !== 201 && answer.code !== 409) throw new Error(`${answer.code} ${answer.body.toString()}`);
  }

  /** The instance runs on the owner's machine. */
  async #assign(owner: Owner): Promise<void> {
    const namespace = memberOf[owner];
    await eventually(
      async () => {
        const instance = await this.client.get(instances, { namespace, name: owner });
        const assignment = { providerName: machineOf(owner), providerUID: this.uids[owner], epoch: 1 };
        const status = { ...instance.status, phase: 'Running' as const, assignment, lastEpoch: 1, observedEpoch: 1 };
        await this.client.replaceStatus(instances, { ...instance, status });
      },
      { timeoutMs: 10_000, what: `${owner} to be assigned`, intervalMs: 20 },
    );
  }
}

async function makeMembers(client: KubeClient): Promise<void> {
  for (const owner of owners) {
    const name = memberOf[owner];
    const spec = { displayName: name, permissions: ['Use' as const, 'Lend' as const], quota: {} };
    await client.create(members, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name }, spec });
  }
  await eventually(
    async () => {
      for (const owner of owners) {
        const { status } = await client.get(members, { name: memberOf[owner] });
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        if (ready?.status !== 'True') throw new Error(`${memberOf[owner]}: ${ready?.message ?? 'nothing is said'}`);
      }
    },
    { timeoutMs: 20_000, what: 'the members to be Ready', intervalMs: 50 },
  );
}

async function makeMachine(client: KubeClient, owner: Owner): Promise<string> {
  const { publicKey } = generateKeyPairSync('ed25519');
  const identityKey = publicKey.export({ format: 'jwk' }).x ?? '';
  const provider = await client.create(providers, {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name: machineOf(owner) },
    spec: { owner: owner === 'free' ? 'nobody' : memberOf[owner], offer: { cpu: '4', memory: '8Gi', disk: '20Gi' }, identityKey },
  });
  return provider.metadata.uid ?? '';
}

function nameOf({ group, resource }: DiscoveredResource, owner: Owner, uid: string): string {
  if (group === 'potluck.dev') {
    if (resource === 'members') return memberOf[owner];
    if (resource === 'jointokens') return owner.padEnd(8, '0');
    return resource === 'instances' ? owner : machineOf(owner);
  }
  if (resource === 'certificatesigningrequests') return `provider-${uid}-${owner}`;
  if (resource === 'leases') return machineOf(owner);
  if (resource === 'namespaces') return memberOf[owner];
  return resource === 'customresourcedefinitions' ? `${owner}s.matrix.test` : owner;
}

/** For another object like it. */
function newNameOf({ resource }: DiscoveredResource, name: string): string {
  if (resource === 'jointokens') return name.replaceAll('0', '1');
  return resource === 'customresourcedefinitions' ? `new${name}` : `${name}-new`;
}

function namespaceOf({ resource }: DiscoveredResource, owner: Owner, by: 'machine' | 'member'): string {
  return resource === 'leases' && by === 'machine' ? providerLeaseNamespace : memberOf[owner];
}

interface Making {
  owner: Owner;
  uid: string;
  namespace: string | undefined;
}

function manifestKey(resource: DiscoveredResource): string {
  const { group, subresource, kind } = resource;
  return subresource === 'token' ? 'authentication.k8s.io/TokenRequest' : `${group}/${kind}`;
}

const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }];
const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'somebody' }];
const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
const access = { spec: { resourceAttributes: { verb: 'get', resource: 'configmaps', namespace: 'default' } } };
const aboutUser = { spec: { ...access.spec, user: 'somebody' } };
const event = ({ owner, namespace }: Making): object => ({
  involvedObject: { apiVersion: 'potluck.dev/v1alpha1', kind: 'Instance', name: owner, namespace },
  reason: 'Tested',
  message: 'a test looked at it',
  type: 'Normal',
  source: { component: 'potluck-agent', host: machineOf(owner) },
  reportingComponent: 'potluck-agent',
  reportingInstance: machineOf(owner),
});

/** What an object of a kind has besides its name; by group and kind. */
const manifests: Readonly<Record<string, (making: Making) => object>> = {
  '/ConfigMap': () => ({ data: { a: 'b' } }),
  '/Secret': () => ({ stringData: { a: 'b' } }),
  '/ServiceAccount': () => ({}),
  '/Namespace': () => ({}),
  '/ResourceQuota': () => ({ spec: { hard: { 'count/configmaps': '1000' } } }),
  '/Event': event,
  'events.k8s.io/Event': ({ owner, namespace }) => ({
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'potluck-agent',
    reportingInstance: machineOf(owner),
    action: 'Testing',
    reason: 'Tested',
    note: 'a test looked at it',
    type: 'Normal',
    regarding: { apiVersion: 'potluck.dev/v1alpha1', kind: 'Instance', name: owner, namespace },
  }),
  'coordination.k8s.io/Lease': ({ uid }) => ({ spec: { holderIdentity: uid, leaseDurationSeconds: 40 } }),
  'rbac.authorization.k8s.io/Role': () => ({ rules }),
  'rbac.authorization.k8s.io/ClusterRole': () => ({ rules }),
  'rbac.authorization.k8s.io/RoleBinding': () => ({ subjects, roleRef }),
  'rbac.authorization.k8s.io/ClusterRoleBinding': () => ({ subjects, roleRef }),
  'authentication.k8s.io/TokenRequest': () => ({ spec: { expirationSeconds: 3600 } }),
  'authentication.k8s.io/TokenReview': () => ({ spec: { token: 'x' } }),
  'authentication.k8s.io/SelfSubjectReview': () => ({}),
  'authorization.k8s.io/SelfSubjectAccessReview': () => access,
  'authorization.k8s.io/SelfSubjectRulesReview': () => ({ spec: { namespace: 'default' } }),
  'authorization.k8s.io/SubjectAccessReview': () => aboutUser,
  'authorization.k8s.io/LocalSubjectAccessReview': ({ namespace }) => ({
    spec: { user: 'somebody', resourceAttributes: { verb: 'get', resource: 'configmaps', namespace } },
  }),
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': () => ({
    spec: {
      matchConstraints: { resourceRules: [{ apiGroups: ['none.test'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }] },
      validations: [{ expression: 'true' }],
    },
  }),
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': ({ owner }) => ({
    spec: { policyName: owner, validationActions: ['Deny'] },
  }),
  'apiextensions.k8s.io/CustomResourceDefinition': ({ owner }) => ({
    spec: {
      group: 'matrix.test',
      scope: 'Cluster',
      names: { plural: `${owner}s`, singular: owner, kind: `Matrix${owner}`, listKind: `Matrix${owner}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  }),
  'certificates.k8s.io/CertificateSigningRequest': () => ({
    spec: { request: newSigningRequest(), signerName: providerSigner, usages: ['client auth', 'digital signature'] },
  }),
  'metrics.k8s.io/NodeMetrics': () => ({}),
  'metrics.k8s.io/PodMetrics': () => ({}),
  'potluck.dev/Instance': ({ owner, namespace }) => {
    const { spec } = instanceManifest(owner, { namespace: namespace ?? 'default' });
    const from = { key: 'a', name: owner };
    const env = [
      { name: 'SECRET', valueFrom: { secretKeyRef: from } },
      { name: 'CONFIG', valueFrom: { configMapKeyRef: from } },
    ];
    return { spec: { ...spec, env } };
  },
  'potluck.dev/Provider': ({ owner }) => ({
    spec: { owner: owner === 'free' ? 'nobody' : memberOf[owner], offer: { cpu: '1', memory: '1Gi', disk: '1Gi' } },
  }),
  'potluck.dev/ProviderInventory': ({ owner, uid }) => ({
    spec: { owner: owner === 'free' ? 'nobody' : memberOf[owner], providerUID: uid },
  }),
  'potluck.dev/ProviderReservation': ({ uid }) => ({ spec: { providerUID: uid } }),
  'potluck.dev/Member': () => ({ spec: { displayName: 'somebody' } }),
  'potluck.dev/JoinToken': ({ owner }) => ({
    spec: {
      owner: owner === 'free' ? 'nobody' : memberOf[owner],
      secretHash: '0'.repeat(64),
      expirationTimestamp: '2099-01-01T00:00:00Z',
    },
  }),
};

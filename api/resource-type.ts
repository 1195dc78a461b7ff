import type { Gateway } from './generated/gateway.ts';
import type { Instance } from './generated/instance.ts';
import type { JoinToken } from './generated/join-token.ts';
import type { Member } from './generated/member.ts';
import type { ProviderInventory } from './generated/provider-inventory.ts';
import type { ProviderReservation } from './generated/provider-reservation.ts';
import type { Provider } from './generated/provider.ts';
import type { KubernetesObject } from './object.ts';

/** Says how a kind is reached through the API; the type parameter is the shape of its objects. */
export interface ResourceType<T extends KubernetesObject> {
  /** Empty for the core group. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  /** Never set: carries T for inference. */
  readonly objectType?: T;
}

export interface Namespace extends KubernetesObject {
  spec?: { finalizers?: string[] };
  status?: { phase?: 'Active' | 'Terminating'; conditions?: unknown[] };
}

/** `coordination.k8s.io/v1`. Times are RFC 3339 with microseconds. */
export interface Lease extends KubernetesObject {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** `v1` ResourceQuota. Amounts are quantities. */
export interface ResourceQuota extends KubernetesObject {
  spec?: { hard?: Readonly<Record<string, string>> | null };
  status?: { hard?: Readonly<Record<string, string>> | null; used?: Readonly<Record<string, string>> | null };
}

/** `v1` ServiceAccount. */
export type ServiceAccount = KubernetesObject;

/** `v1` Secret. Values are base64. */
export interface Secret extends KubernetesObject {
  type?: string;
  data?: Readonly<Record<string, string>> | null;
}

/** `v1` ConfigMap, as far as it is text. */
export interface ConfigMap extends KubernetesObject {
  data?: Readonly<Record<string, string>> | null;
}

/** `rbac.authorization.k8s.io/v1` RoleBinding and ClusterRoleBinding. */
export interface RoleBinding extends KubernetesObject {
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects?: { kind: string; apiGroup?: string; name: string; namespace?: string }[] | null;
}

/** `certificates.k8s.io/v1`. */
export interface CertificateSigningRequest extends KubernetesObject {
  spec: {
    /** Base64 of a PEM PKCS#10 request. */
    request: string;
    signerName: string;
    usages?: string[];
    expirationSeconds?: number;
    /** Who created it; written by the server. */
    username?: string;
    uid?: string;
    groups?: string[];
    extra?: Record<string, string[]>;
  };
  status?: {
    /** Of type Approved, Denied or Failed; what holds does not change again. */
    conditions?: {
      type: string;
      status: 'True' | 'False' | 'Unknown';
      reason?: string;
      message?: string;
      lastUpdateTime?: string | null;
      lastTransitionTime?: string | null;
    }[];
    /** Base64 of a PEM chain. */
    certificate?: string;
  };
}

/** `v1` Event. */
export interface Event extends KubernetesObject {
  involvedObject: { apiVersion?: string; kind?: string; name?: string; namespace?: string; uid?: string; resourceVersion?: string };
  reason?: string;
  message?: string;
  type?: 'Normal' | 'Warning';
  count?: number;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  source?: { component?: string; host?: string };
  reportingComponent?: string;
  reportingInstance?: string;
}

const potluck = { group: 'potluck.dev', version: 'v1alpha1' } as const;

export const instances: ResourceType<Instance> = { ...potluck, plural: 'instances', kind: 'Instance', namespaced: true };
export const providers: ResourceType<Provider> = { ...potluck, plural: 'providers', kind: 'Provider', namespaced: false };
export const providerInventories: ResourceType<ProviderInventory> = {
  ...potluck,
  plural: 'providerinventories',
  kind: 'ProviderInventory',
  namespaced: false,
};
export const providerReservations: ResourceType<ProviderReservation> = {
  ...potluck,
  plural: 'providerreservations',
  kind: 'ProviderReservation',
  namespaced: false,
};
export const gateways: ResourceType<Gateway> = { ...potluck, plural: 'gateways', kind: 'Gateway', namespaced: false };
export const joinTokens: ResourceType<JoinToken> = { ...potluck, plural: 'jointokens', kind: 'JoinToken', namespaced: false };
export const members: ResourceType<Member> = { ...potluck, plural: 'members', kind: 'Member', namespaced: false };
export const namespaces: ResourceType<Namespace> = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
export const events: ResourceType<Event> = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };
export const leases: ResourceType<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export const certificateSigningRequests: ResourceType<CertificateSigningRequest> = {
  group: 'certificates.k8s.io',
  version: 'v1',
  plural: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
};

export const resourceQuotas: ResourceType<ResourceQuota> = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};

export const serviceAccounts: ResourceType<ServiceAccount> = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

export const secrets: ResourceType<Secret> = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };

export const configMaps: ResourceType<ConfigMap> = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };

const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;
export const roleBindings: ResourceType<RoleBinding> = { ...rbac, plural: 'rolebindings', kind: 'RoleBinding', namespaced: true };
export const clusterRoleBindings: ResourceType<RoleBinding> = {
  ...rbac,
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  namespaced: false,
};

export const customResourceDefinitions: ResourceType<KubernetesObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** `group/version`, or the version alone for the core group. */
export function apiVersionOf(type: { group: string; version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}
